"""Write the verdict table, and where the run was saved, below pytest's own tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_duet.errors import reason_of
from pytest_duet.exit_status import Exit
from pytest_duet.report import changes, explain
from pytest_duet.report.escape import needs_ascii
from pytest_duet.report.formats import terminal
from pytest_duet.spec.selectors import matches

if TYPE_CHECKING:
    from pytest_duet.plugin.gating import Gate
    from pytest_duet.plugin.pytest_session import PytestSession
    from pytest_duet.records.schema import RunRecord


def write(reporter: Any, duet_session: PytestSession) -> None:
    """Write the table of `duet_session`'s run to pytest's terminal `reporter`."""
    run = duet_session.run
    assert run is not None
    reporter.write_sep("=", "duet")
    try:
        _write(reporter, duet_session, run)
    except Exception as fault:  # noqa: BLE001 - whatever is wrong with the table, the statuses must be shown
        reporter.write_line(f"duet: internal error, please report it: {reason_of(fault)}", red=True)
        for group in run.groups:
            for member in group.members:
                reporter.write_line(f"{group.case_id(member.name)}  {member.status}")
    for message in duet_session.faults:
        reporter.write_line(f"duet: {message}", red=True)
    for error in duet_session.session.errors:
        reporter.write_line(f"duet: not saved: {error}", red=True)
    if duet_session.saved is not None:
        root = reporter.config.rootpath
        inside = duet_session.saved.is_relative_to(root)
        reporter.write_line(f"saved: {duet_session.saved.relative_to(root) if inside else duet_session.saved}")


def _write(reporter: Any, duet_session: PytestSession, run: RunRecord) -> None:
    width = reporter._tw.fullwidth  # noqa: SLF001 - there is no public width
    encoding = getattr(reporter._tw._file, "encoding", None) or "utf-8"  # noqa: SLF001 - nor a public stream
    ascii_only = needs_ascii(encoding)
    text = terminal.render(run, width, reporter.verbosity, ascii_only=ascii_only)
    for line in text.rstrip("\n").split("\n"):
        reporter.write_line(line)
    if duet_session.settings.explain:
        _explain(reporter, run, duet_session.settings.explain, duet_session.gate)
    if duet_session.gate is not None:
        _gate(reporter, duet_session.gate, duet_session.status(), complete=run.complete, ascii_only=ascii_only)


def _explain(reporter: Any, run: RunRecord, pattern: str, gate: Gate | None) -> None:
    lines = explain.of_run(run, pattern)
    for decided in gate.decisions if gate else []:
        if matches(pattern, decided.change.case):
            lines += [*explain.of_decision(decided), ""]
    reporter.write_sep("-", "duet: explanation")
    for line in lines or [f"--duet-explain: no case of this run matches {pattern!r}"]:
        reporter.write_line(line)


def _gate(reporter: Any, gate: Gate, status: int, *, complete: bool, ascii_only: bool) -> None:
    reporter.write_sep("-", "duet: gate")
    if gate.baseline is None:
        reporter.write_line(f"gate: cannot decide: {gate.error}")
        return
    if not complete:
        reporter.write_line("gate: not decided, because the session did not finish")
        return
    text = changes.render(
        gate.decisions,
        reporter._tw.fullwidth,  # noqa: SLF001 - there is no public width
        Exit(status),
        all_cases=reporter.verbosity > 0,
        advisory=gate.settings.gate_advisory,
        ascii_only=ascii_only,
    )
    for line in text.rstrip("\n").split("\n"):
        reporter.write_line(line)
