"""Compare the summary of a run with those of earlier runs on the same machine: how each case changed, and how surely.

Paired measurements (``comparison``) show far smaller changes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.analysis.comparison import ratio_interval
from pytest_duet.analysis.gate import confirm, judge_family, side, with_sight
from pytest_duet.analysis.verdict import lean, word
from pytest_duet.defaults import ALPHA, JUDGED, PRINTED
from pytest_duet.records.schema import Change
from pytest_duet.stats.prediction import predict
from pytest_duet.stats.ratio import exponential
from pytest_duet.values import to_number
from pytest_duet.vocabulary import with_reason

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_duet.analysis.margins import Margins
    from pytest_duet.records.baselines import Baseline
    from pytest_duet.records.summaries import CaseSummary, RunSummary
    from pytest_duet.stats.prediction import Prediction

ENOUGH_RUNS: Final = 10
"""With fewer runs, the spread between runs is known too poorly to distinguish a change from it."""


def changes(
    head: RunSummary,
    baseline: Baseline,
    margins: Margins,
    *,
    second: RunSummary | None = None,
    expected: Collection[str] | None = None,
) -> list[Change]:
    """Return how every case of `head` and of `baseline` changed; together they are the family of tests.

    `second` is another run of the same code, which confirms or clears the alarms of `head`. Cases of the baseline that are
    not in `head` are missing; if `expected` is given, only those that it holds.
    """
    first = _judged(head, baseline, margins, expected)
    again = {each.case: each for each in _judged(second, baseline, margins, expected)} if second else {}
    return [_confirmed(each, again.get(each.case)) for each in first]


def _confirmed(first: Change, second: Change | None) -> Change:
    if second is not None and second.head == "bad":
        return second
    if second is None or second.ratio is None:
        return msgspec.structs.replace(first, confirmed=not first.alarm)
    return confirm(first, second)


def _judged(head: RunSummary, baseline: Baseline, margins: Margins, expected: Collection[str] | None) -> list[Change]:
    # A run is never part of its own baseline.
    runs = [run for run in baseline.runs if run.digest != head.digest]
    known = dict.fromkeys(case for run in runs for case in run.cases if expected is None or case in expected)
    alike = [run for run in runs if run.fingerprint and run.fingerprint == head.fingerprint]
    raw = []
    for case in dict.fromkeys([*head.cases, *known]):
        history = [run.cases[case] for run in runs if case in run.cases]
        usable = [run.cases[case] for run in alike if case in run.cases]
        raw.append(_change(case, head, history, usable, margins))
    changed = judge_family([change for change, _ in raw])
    family = max(1, sum(change.p is not None for change in changed))
    return [_with_sight(each, found, family) for each, (_, found) in zip(changed, raw, strict=True)]


def _change(
    case: str, head: RunSummary, history: list[CaseSummary], usable: list[CaseSummary], margins: Margins
) -> tuple[Change, Prediction | None]:
    """Return how one case changed, before it is judged in its family, with the prediction from its baseline."""
    now = head.cases.get(case)
    valid = [each for each in history if each.status == "ok"]
    before = valid[-1] if valid else history[-1] if history else None
    change = Change(
        case=case,
        base=side(before.status if before else None),
        head=side(now.status if now else None),
        verdict="not comparable",
        reason=_status(now) or ("" if valid or before is None else f"baseline {_status(before)}"),
        head_ns=exponential(now.log_ns) if now and now.log_ns is not None else None,
        margin=margins.of(case, now.margin if now and now.margin else None),
        alarm_above=margins.alarm_above,
    )
    if now is None or now.log_ns is None or not valid:
        return change, None
    logs = [each.log_ns for each in usable if each.log_ns is not None and each.conditions == now.conditions]
    found = predict(logs)
    if len(logs) >= ENOUGH_RUNS and found is not None:
        return _against(change, found, now.log_ns), found
    reason = _too_few(head, len(logs), len(valid), len(usable), now)
    change = msgspec.structs.replace(change, units=len(logs), reason=reason)
    if not logs:
        return change, None
    mean = math.fsum(logs) / len(logs)
    base_ns, ratio = exponential(mean), exponential(now.log_ns - mean)
    return msgspec.structs.replace(change, base_ns=base_ns, ratio=ratio), None


def _status(case: CaseSummary | None) -> str:
    return "" if case is None or case.status == "ok" else with_reason(case.status, case.reason)


def _too_few(head: RunSummary, count: int, valid: int, alike: int, now: CaseSummary) -> str:
    needs = f"a baseline needs {ENOUGH_RUNS} runs of this machine under the same conditions"
    if not head.fingerprint:
        return f"{needs}; {head.tool} does not say which machine it ran on"
    if valid and not alike:
        return f"{needs}, and has none: its {valid} {'is' if valid == 1 else 'are'} from another machine than {head.machine}"
    if alike and not count:
        other = now.conditions or "these conditions"
        return f"{needs}, and has none: {other} is not what the baseline was measured under"
    return f"{needs}, and has {count}; measure {ENOUGH_RUNS - count} more, or compare with: duet ab"


def _against(change: Change, found: Prediction, log_ns: float) -> Change:
    printed, judged = (found.excess(log_ns, confidence) for confidence in (PRINTED, JUDGED))
    assert judged.low is not None and judged.high is not None and printed.value is not None  # noqa: PT018 - one fact
    bounds = (judged.low, judged.high)
    verdict = word(bounds, math.log1p(change.margin)) or "inconclusive"
    return msgspec.structs.replace(
        change,
        verdict=verdict,
        reason=lean(bounds, change.margin) if verdict == "inconclusive" else "",
        base_ns=exponential(found.mean),
        units=found.count,
        ratio=exponential(printed.value),
        interval=ratio_interval(printed),
        judged=ratio_interval(judged),
        p=to_number(found.p_above(log_ns)),
    )


def _with_sight(change: Change, found: Prediction | None, family: int) -> Change:
    """Add the smallest change that would have alarmed, at the level that remains for one of `family` cases."""
    if found is None or change.ratio is None:
        return change
    alpha = ALPHA / family
    smallest = max(change.alarm_above, exponential(found.smallest(alpha)) - 1)
    bound = max(1 + change.alarm_above, exponential(found.limit(alpha)))
    return with_sight(msgspec.structs.replace(change, bound=bound), smallest)
