"""Rules of a spec besides parity and quality: what a rival is compared with, effects, convergence, growth, margins, threads, devices."""

from __future__ import annotations

import contextlib
import os

import pytest

from pytest_duet.telemetry import cpu, gpu

from .suites import REFERENCE_NS, TWIN_NS, Program, Python, Suite, members_of, statuses

OBJECTIVE = """

def objective(algorithm, outputs, data, params):
    error = data["y"] - data["x"] @ outputs["coef"]
    return float(error @ error)
"""

# --- what a rival is compared with ------------------------------------------------------------------------------------


def _three(pytester, **third) -> Suite:
    members = {
        "honest": Python(REFERENCE_NS, role="reference"),
        "slow": Python(2 * REFERENCE_NS, role="context"),
        "twin": Python(TWIN_NS, **third),
    }
    return Suite(pytester.path, members).write()


def test_a_rival_is_compared_with_the_member_it_names(pytester, session) -> None:
    suite = _three(pytester, against="slow")

    result = session()

    (comparison,) = suite.saved().comparisons
    assert ("twin", "slow", "faster") == (comparison.member, comparison.against, comparison.verdict)
    assert comparison.ratio == pytest.approx(TWIN_NS / (2 * REFERENCE_NS), rel=0.01)
    result.stdout.fnmatch_lines(["*twin *4.0?x*faster*", "* against slow"])


def test_a_rival_is_compared_with_the_reference_by_default(pytester, session) -> None:
    suite = _three(pytester)

    session()

    (comparison,) = suite.saved().comparisons
    assert "" == comparison.against
    assert comparison.ratio == pytest.approx(TWIN_NS / REFERENCE_NS, rel=0.01)


def test_the_member_a_rival_is_compared_with_must_take_part(pytester, session) -> None:
    suite = _three(pytester, against="slow")

    session("--duet-framework=honest,twin")

    (comparison,) = suite.saved().comparisons
    assert ("not comparable", "slow did not take part") == (comparison.verdict, comparison.reason)


@pytest.mark.parametrize(("other", "remedy"), [("slwo", "did you mean 'slow'?"), ("twin", "known: honest, slow")])
def test_a_name_of_no_other_member_is_a_collection_error(other: str, remedy: str, pytester, session) -> None:
    _three(pytester, against=other)

    result = session()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*[[]members.twin[]] against {other!r} is not another member; {remedy}"])


# --- parameters that must have an effect ------------------------------------------------------------------------------

EFFECT = '[[effect]]\nparam = "alpha"\nfactor = 10\n'


def test_a_member_that_ignores_its_penalty_is_refused(pytester, session) -> None:
    # It reads the parameter, and computes with the value that this job happens to have.
    members = {"honest": Python(role="reference"), "deaf": Python(extra="self.alpha = 2.0"), "twin": Python()}
    suite = Suite(pytester.path, members, rules=EFFECT).write()

    result = session()

    assert {"honest": "ok", "deaf": "failed", "twin": "ok"} == statuses(suite.saved())
    why = "failed: alpha has no effect: 10 times as large, it leaves every output within its tolerance"
    assert why == f"failed: {members_of(suite.saved())['deaf'].reason}"
    result.assert_outcomes(passed=2, failed=1)


def test_a_reference_that_ignores_its_penalty_leaves_nothing_to_compare(pytester, session) -> None:
    members = {"deaf": Python(role="reference", extra="self.alpha = 2.0"), "twin": Python()}
    suite = Suite(pytester.path, members, rules=EFFECT).write()

    session()

    assert {"deaf": "failed", "twin": "skipped"} == statuses(suite.saved())


@pytest.mark.parametrize("param", ["alhpa", "C"])
def test_an_effect_of_an_unknown_parameter_is_a_usage_error(param: str, pytester, session) -> None:
    members = {"honest": Python(role="reference")}
    Suite(pytester.path, members, rules=EFFECT.replace("alpha", param)).write()

    result = session()

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines([f"*[[][[]effect]] param {param!r} is not a number of tiny/fit-train-small*"])


# --- time to a fixed gap ----------------------------------------------------------------------------------------------

CONVERGENCE = '[[convergence]]\nparam = "alpha"\nvalues = [2000.0, 2.0]\ngap = 0.05\n'


def test_the_time_to_a_gap_is_a_reading_beside_the_timed_rounds(pytester, session) -> None:
    suite = Suite(
        pytester.path, {"honest": Python(REFERENCE_NS, role="reference"), "twin": Python()}, rules=CONVERGENCE
    )
    quality = suite.write().root / "benches" / "tiny" / "quality.py"
    quality.write_text(quality.read_text() + OBJECTIVE)

    result = session("-v")

    for name, ns in (("honest", REFERENCE_NS), ("twin", TWIN_NS)):
        readings = {reading.metric: reading for reading in members_of(suite.saved())[name].readings}
        # The loose setting, as fast as any here, is too far from the best.
        assert ns == pytest.approx(readings["time_to_gap_of_0.05"].value, rel=0.01)
        assert 0 == readings["objective_gap"].value
    result.stdout.fnmatch_lines(["*to gap of 0.05 2.00 ms*"])


def test_convergence_without_an_objective_is_a_usage_error(pytester, session) -> None:
    Suite(pytester.path, {"honest": Python(role="reference")}, rules=CONVERGENCE).write()

    result = session()

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines(["*quality.py: [[][[]convergence]] needs a function objective there; write one*"])


# --- threads ----------------------------------------------------------------------------------------------------------

AVAILABLE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


@pytest.mark.skipif(AVAILABLE == 1, reason="needs two CPUs")
def test_the_number_of_threads_is_saved_in_the_record_and_the_attestations(pytester, session, monkeypatch) -> None:
    monkeypatch.setattr(cpu, "busy_share", lambda _: 0.0)
    suite = Suite(pytester.path, {"honest": Python(role="reference"), "twin": Python()})
    suite.write()

    session("--duet-threads=2")

    (group,) = suite.saved().groups
    assert (2, []) == (group.threads, group.flags)
    assert {2} == {member.attestation.threads for member in group.members if member.attestation}


@pytest.mark.skipif(AVAILABLE == 1, reason="needs two CPUs")
def test_a_busy_machine_is_flagged_if_several_threads_are_timed(pair, session, monkeypatch) -> None:
    monkeypatch.setattr(cpu, "busy_share", lambda _: 0.42)

    session("--duet-threads=all")

    (group,) = pair.saved().groups
    why = "other work kept 42% of the CPUs busy; several threads can only be compared on an idle machine"
    assert [why] == group.flags


@pytest.mark.parametrize("given", ["0", "-1", "many", "100000", "2.5"])
def test_an_impossible_number_of_threads_is_a_usage_error(given: str, pair, session) -> None:
    result = session(f"--duet-threads={given}")

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines([f"*--duet-threads: '{given}' is not what this machine can do; write *, or all*"])


# --- device -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["gpu", "cuda:", "cuda:x", "cpu:0"])
def test_an_unknown_device_is_a_usage_error(given: str, pair, session) -> None:
    result = session(f"--duet-device={given}")

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines([f"*--duet-device: '{given}' is no device; write cpu, cuda or cuda:N"])


def test_a_missing_device_is_a_usage_error_with_the_remedy(pair, session, monkeypatch) -> None:
    def missing(index: int) -> None:
        raise gpu.GpuUnavailable("no NVIDIA driver: not found")

    monkeypatch.setattr(gpu, "device", missing)

    result = session("--duet-device=cuda")

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    expected = "*cuda cannot be used: no NVIDIA driver: not found; leave it out to compute on the CPU"
    result.stderr.fnmatch_lines([expected])


def test_a_member_that_does_not_know_the_device_is_refused(pair, session, monkeypatch) -> None:
    monkeypatch.setattr(gpu, "device", contextlib.nullcontext)

    session("--duet-device=cuda:1")

    (group,) = pair.saved().groups
    assert "cuda:1" == group.device
    assert "device 'cuda:1' is not known here" in members_of(pair.saved())["honest"].reason


def test_a_member_that_has_not_settled_is_flagged_and_still_timed(pytester, session) -> None:
    members = {"honest": Python(role="reference"), "unsteady": Program("never_settles"), "calm": Program()}
    suite = Suite(pytester.path, members).write()

    result = session()

    assert {"honest": "ok", "unsteady": "ok", "calm": "ok"} == statuses(suite.saved())
    (group,) = suite.saved().groups
    assert [flag for flag in group.flags if "steady" in flag] == [
        "unsteady: no steady state within 5 s of rounds; its times may still have been changing"
    ]
    assert "unsteady: no steady state within 5 s" in result.stdout.str()


# --- growth and margins -----------------------------------------------------------------------------------------------

GROWTH = '[[growth]]\ndivide = "rows"\n'
PER_ROW = "Host.clock.spend(100_000 * len(self.x))"


def test_a_member_that_takes_as_long_for_an_eighth_of_the_work_is_refused(pytester, session) -> None:
    members = {
        "honest": Python(1000, extra=PER_ROW, role="reference"),
        "cached": Python(TWIN_NS),
        "twin": Python(1000, extra=PER_ROW),
    }
    suite = Suite(pytester.path, members, rules=GROWTH).write()

    result = session()

    assert {"honest": "ok", "cached": "failed", "twin": "ok"} == statuses(suite.saved())
    why = (
        "time of cached does not grow with work: 1.00 times as long for eight times the work, the reference 7.99 times"
    )
    assert why in members_of(suite.saved())["cached"].reason
    assert members_of(suite.saved())["cached"].cells == []
    result.assert_outcomes(passed=2, failed=1)


def test_no_member_is_refused_if_the_references_time_does_not_grow(pytester, session) -> None:
    members = {"honest": Python(REFERENCE_NS, role="reference"), "cached": Python(TWIN_NS)}
    suite = Suite(pytester.path, members, rules=GROWTH).write()

    session()

    assert {"honest": "ok", "cached": "ok"} == statuses(suite.saved())


def test_a_growth_rule_for_an_unknown_parameter_is_a_usage_error(pytester, session) -> None:
    members = {"honest": Python(role="reference"), "twin": Python()}
    Suite(pytester.path, members, rules=GROWTH.replace("rows", "rwos")).write()

    result = session()

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines(["*[[][[]growth[]][]] divide 'rwos' is not an integer of *; did you mean 'rows'?*"])


def test_a_member_may_have_a_margin_of_its_own(pytester, session) -> None:
    members = {
        "honest": Python(REFERENCE_NS, role="reference"),
        "near": Python(REFERENCE_NS * 108 // 100),
        "other": Python(REFERENCE_NS * 108 // 100),
    }
    suite = Suite(pytester.path, members, rules='[[margins]]\nmember = "near"\nmargin = 0.1\n').write()

    session()

    found = {each.member: (each.margin, each.verdict) for each in suite.saved().comparisons}
    assert {"near": (0.1, "equivalent"), "other": (0.05, "slower")} == found
    assert suite.saved().groups[0].margins == {"near": 0.1}
