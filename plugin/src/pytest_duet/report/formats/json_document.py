"""A run's comparisons as JSON, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_duet import __version__
from pytest_duet.analysis.comparison import compare_run
from pytest_duet.report.formats import Format, register

if TYPE_CHECKING:
    from pytest_duet.records.schema import RunRecord
    from pytest_duet.report.formats import Options


def render(run: RunRecord, options: Options) -> str:
    """Return the comparisons of `run`, and what they are about, as a JSON document."""
    document = {
        "run": options.stem,
        "created": run.created,
        "judged_by": __version__,
        "machine": run.machine,
        "profile": run.profile,
        "mode": run.mode,
        "complete": run.complete,
        "comparisons": run.comparisons or compare_run(run.groups),
    }
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2).decode() + "\n"


register(Format("json", "for programs", render))
