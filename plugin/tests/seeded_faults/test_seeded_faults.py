"""Every seeded fault in one session: each is refused with its own reason and shows no speed, and honest members go on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from ..sessions.suites import (
    REFERENCE_NS,
    Program,
    Python,
    Suite,
    benchmarks,
    members_of,
    statuses,
    verdicts,
)

if TYPE_CHECKING:
    from pytest_duet.records.schema import RunRecord

HONEST = ("honest", "twin", "honest_program", "floods_log")

JUDGED_FIRST = ("nearly_mean", "constant_judged", "nan_quality")
"""Members whose quality is checked before their parity, so that the floor refuses them."""

REFUSED = {
    # the model
    "predicts_mean": ("failed", "parity with honest failed: output 'coef': close error"),
    "nearly_mean": ("failed", "quality r2 .* is below its floor of 0.5"),
    "constant": ("failed", "parity with honest failed"),
    "constant_judged": ("failed", "the output is constant"),
    "nan_output": ("failed", "parity with honest failed: output 'coef': close error inf"),
    "one_nan": ("failed", "parity with honest failed: output 'coef': close error inf"),
    "nan_quality": ("invalid", "quality r2 is not a number"),
    # the job
    "never_reads_alpha": ("failed", r"ignores parameter 'alpha' \(asked 2.0\)"),
    "mutes_alpha": ("failed", "parity with honest failed: output 'coef': close error"),
    "other_alpha": ("failed", "has alpha = 3.0, the job says 2.0"),
    "own_param": ("failed", "has beta = 1, the job says None"),
    "other_data": ("failed", "saw other data: y has SHA-256 [0-9a-f]{64}, the data set's is [0-9a-f]{64}"),
    "secret_data": ("failed", "parity with honest failed: output 'coef': close error"),
    "reads_no_data": ("failed", "read none of the data files"),
    "says_f32": ("failed", "computes in f32, the job says f64"),
    "other_device": ("failed", "runs on cuda:0, the job says cpu"),
    "two_threads": ("failed", "runs 2 threads, 1 asked"),
    # the outputs
    "writes_f32": ("failed", "output 'coef' has dtype float32, the job says float64"),
    "other_shape": ("failed", r"output 'coef' has shape \(4,\), the reference's has \(3,\)"),
    "integers": ("failed", "output 'coef' has dtype int64, the reference's has float64"),
    "one_more_output": ("failed", "output 'more' is not one of the reference's"),
    "no_outputs": ("protocol", "handed over no outputs"),
    "writes_elsewhere": ("protocol", "outside of the folder it was given"),
    "pickles": ("protocol", "output 'coef' cannot be read"),
    # the times
    "wrong_later": ("failed", "a timed round gave another answer than the check"),
    "other_digest_same_output": ("protocol", "hands over other outputs than those of the round it was to keep"),
    "repeats_digest": ("protocol", "says its outputs have digest [0-9a-f]{12}, the files it wrote have [0-9a-f]{12}"),
    "verifies_another_digest": ("protocol", "says its outputs have digest 0{12}, the files it wrote have"),
    "no_digest": ("protocol", "was asked to keep round"),
    "zero_clock": ("invalid", "reports 0 ns for a call"),
    "backwards_clock": ("invalid", "reports -5 ns for a call"),
    "zero_round": ("invalid", "reports a round of 0 ns"),
    "backwards_round": ("invalid", "reports a round of -1 ns"),
    "nan_round": ("protocol", "asked to run: not a message"),
    "half_nanoseconds": ("protocol", "asked to run: not a message"),
    "fewer_rounds": ("protocol", r"sent \d+ rounds, \d+ were asked"),
    "more_rounds": ("protocol", r"sent \d+ rounds, \d+ were asked"),
    # the build
    "debug_build": ("failed", "is a debug build; its times mean nothing"),
    # the process
    "exits": ("crashed", "exited with status 3 while asked to verify"),
    "crashes_later": ("crashed", "died of SIGSEGV while asked to run"),
    "is_killed": ("killed", r"was killed while asked to run \(maybe out of memory\)"),
    "leaves": ("protocol", "left without answering run"),
    "panics": ("crashed", "index out of bounds"),
    "fails": ("failed", "did not converge"),
    "garbage": ("protocol", r"not a message: '12 rounds took 3 ms' \(hex 31 32 20"),
    "binary_garbage": ("protocol", "hex 7b 22 6f 70"),
    "carriage_return": ("protocol", "not a message"),
    "endless_line": ("protocol", "is over the limit of 65536 bytes"),
    "other_reply": ("protocol", "answered Run with QuitReply"),
    "other_id": ("protocol", "answered request 999999 when"),
    # not run at all
    "other_protocol": ("unavailable", "speaks protocol 99, this pytest-duet speaks 1"),
    "unsupported": ("unavailable", "no such thing here"),
}
"""Fault → the status it ends with, and what its reason says."""

PROFILE = "[smoke]\ngroup_seconds = 0.4\nobserve_seconds = 0.05\nrequest_seconds = 60.0\n"


@dataclass(frozen=True)
class Session:
    """The results of one session."""

    status: int
    output: str
    run: RunRecord
    benchmarks: dict[str, object]
    outcomes: dict[str, str]

    def shown(self, member: str) -> str:
        """Return what the verdict table says of `member`, without white space."""
        table = self.output.partition("= duet =")[2].splitlines()
        (start,) = [index for index, line in enumerate(table) if re.match(rf"  {member} ", line)]
        more = [index for index, line in enumerate(table) if index > start and not line.startswith("    ")]
        return _squeezed("".join(table[start : more[0]]))


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Run every fake and every honest member as one group, in a pytest of its own."""
    root = tmp_path_factory.mktemp("seeded")
    members = {"honest": Python(REFERENCE_NS, role="reference"), "twin": Python(), "honest_program": Program()}
    members |= {name: Program(name) for name in (*HONEST[3:], *REFUSED)}
    rules = f"[[quality]]\nmember = {json.dumps(JUDGED_FIRST)}\nparams = {{ alpha = 2.0 }}\n"
    suite = Suite(root, members, rules=rules, profiles=PROFILE).write()
    report = root / "junit.xml"
    done = suite.run("--benchmark-json=bench.json", f"--junitxml={report}", "--benchmark-columns=min")
    assert report.exists(), done.stdout + done.stderr
    outcomes = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest itself wrote it
        word = "failed" if case.find("failure") is not None else "skipped" if case.find("skipped") is not None else "ok"
        outcomes[case.attrib["name"].removeprefix("bench_tiny[fit-train-small-").rstrip("]")] = word
    return Session(done.returncode, done.stdout, suite.saved(), benchmarks(root / "bench.json"), outcomes)


def test_the_session_fails(session: Session) -> None:
    assert session.status == 1


def test_every_member_has_a_status(session: Session) -> None:
    expected = {name: status for name, (status, _) in REFUSED.items()} | dict.fromkeys(HONEST, "ok")

    assert expected == statuses(session.run)


def test_honest_members_keep_their_verdicts(session: Session) -> None:
    found = {name: word for name, word in verdicts(session.run).items() if name in HONEST}

    assert set(HONEST) - {"honest"} == set(found)
    assert "not comparable" not in found.values()
    assert dict.fromkeys(HONEST, "ok") == {name: session.outcomes[name] for name in HONEST}


def test_only_honest_members_are_benchmarks_of_pytest_benchmark(session: Session) -> None:
    assert {f"bench_tiny[fit-train-small-{name}]" for name in HONEST} == set(session.benchmarks)


@pytest.mark.parametrize("name", REFUSED)
def test_the_reason_is_saved(session: Session, name: str) -> None:
    assert re.search(REFUSED[name][1], members_of(session.run)[name].reason)


@pytest.mark.parametrize("name", REFUSED)
def test_a_fake_fails_its_own_test(session: Session, name: str) -> None:
    expected = "skipped" if REFUSED[name][0] == "unavailable" else "failed"

    assert expected == session.outcomes[name]


@pytest.mark.parametrize("name", REFUSED)
def test_no_speed_of_a_fake_is_saved(session: Session, name: str) -> None:
    member = members_of(session.run)[name]
    (comparison,) = [each for each in session.run.comparisons if each.member == name]

    assert (member.cells, member.first_call_ns) == ([], None)
    assert (comparison.verdict, comparison.ratio, comparison.interval) == ("not comparable", None, None)
    assert comparison.tests == comparison.effects == []


@pytest.mark.parametrize("name", REFUSED)
def test_the_table_shows_only_the_reason_of_a_fake(session: Session, name: str) -> None:
    member = members_of(session.run)[name]

    assert _squeezed(f"{name}{member.status}:{member.reason}") == session.shown(name)


def test_the_table_shows_the_times_of_an_honest_member(session: Session) -> None:
    assert re.match(r"honest_program\d\S+s\d\S*x\[", session.shown("honest_program"))


def test_the_log_of_a_crash_is_quoted_in_its_failure(session: Session) -> None:
    assert "the reason why" in session.output
