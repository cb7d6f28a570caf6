"""Write the verdict table, and where it was saved, below pytest's own tables.

Not for what is in it: ``report`` renders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_duet.report import terminal

if TYPE_CHECKING:
    from pytest_duet.plugin.conductor import Conductor


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
    for error in conductor.storage_errors:
        reporter.write_line(f"duet: not saved: {error}", red=True)
    if conductor.saved is not None:
        root = reporter.config.rootpath
        inside = conductor.saved.is_relative_to(root)
        reporter.write_line(f"saved: {conductor.saved.relative_to(root) if inside else conductor.saved}")
