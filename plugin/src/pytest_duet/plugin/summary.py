"""Write the verdict table, and where it was saved, below pytest's own tables.

Not for what is in it: ``report`` renders.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pytest_duet.gate import Exit
from pytest_duet.report import changes, explain, terminal

if TYPE_CHECKING:
    from pytest_duet.plugin.conductor import Conductor
    from pytest_duet.plugin.gating import Gate


def write(reporter: Any, conductor: Conductor) -> None:
    """Write the table of `conductor`'s run to pytest's terminal `reporter`."""
    assert conductor.run is not None
    width = reporter._tw.fullwidth  # noqa: SLF001 - there is no public width
    encoding = getattr(reporter._tw._file, "encoding", None) or "utf-8"  # noqa: SLF001 - nor a public stream
    ascii_only = not encoding.lower().startswith("utf")
    text = terminal.render(conductor.run, width, reporter.verbosity, ascii_only=ascii_only)
    reporter.write_sep("=", "duet")
    for line in text.rstrip("\n").split("\n"):
        reporter.write_line(line)
    if conductor.settings.explain:
        _explain(reporter, conductor)
    if conductor.gate is not None:
        _gate(reporter, conductor, conductor.gate, ascii_only=ascii_only)
    for error in conductor.storage_errors:
        reporter.write_line(f"duet: not saved: {error}", red=True)
    if conductor.saved is not None:
        root = reporter.config.rootpath
        inside = conductor.saved.is_relative_to(root)
        reporter.write_line(f"saved: {conductor.saved.relative_to(root) if inside else conductor.saved}")


def _explain(reporter: Any, conductor: Conductor) -> None:
    pattern = conductor.settings.explain
    assert conductor.run is not None
    lines = explain.of_run(conductor.run, pattern)
    decisions = conductor.gate.decisions if conductor.gate else []
    for decided in decisions:
        if fnmatchcase(decided.change.case, pattern):
            lines += [*explain.of_decision(decided), ""]
    reporter.write_sep("-", "duet: how it came about")
    for line in lines or [f"--duet-explain: no case of this run matches {pattern!r}"]:
        reporter.write_line(line)


def _gate(reporter: Any, conductor: Conductor, gate: Gate, *, ascii_only: bool) -> None:
    reporter.write_sep("-", "duet: gate")
    assert conductor.run is not None
    if gate.baseline is None:
        reporter.write_line(f"gate: cannot decide: {gate.error}")
        return
    if not conductor.run.complete:
        reporter.write_line("gate: not asked, since the session did not come to its end")
        return
    text = changes.render(
        gate.decisions,
        reporter._tw.fullwidth,  # noqa: SLF001 - there is no public width
        Exit(conductor.status()),
        all_cases=reporter.verbosity > 0,
        advisory=gate.settings.gate_advisory,
        plain=ascii_only,
    )
    for line in text.rstrip("\n").split("\n"):
        reporter.write_line(line)
