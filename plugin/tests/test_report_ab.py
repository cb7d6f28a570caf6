"""``duet ab`` prints a line for each case: the decision, the change, and a remedy where it could not decide."""

from __future__ import annotations

from pytest_duet.analysis.gate import decide
from pytest_duet.records.schema import Change, Interval
from pytest_duet.report.ab import lines, summary
from pytest_duet.values import to_number

NAMES = ("main (0123)", "working tree")


def change(case: str, ratio: float | None, **changes: object) -> Change:
    between = None if ratio is None else Interval(low=ratio - 0.01, high=ratio + 0.01, confidence=0.95)
    plain = {"case": case, "base": "ok", "head": "ok", "verdict": "equivalent", "units": 12, "unit": "cells"}
    more = {"ratio": ratio, "interval": between, "smallest_change": 0.03, "p_adjusted": to_number(0.002)}
    return Change(**{**plain, **more, **changes})


def test_the_worst_comes_first_and_undecided_cases_have_a_remedy() -> None:
    found = [
        decide(change("b/passes", 1.001)),
        decide(change("b/new", None, base="missing", units=0)),
        decide(change("a/noisy", 1.02, verdict="inconclusive", smallest_change=0.1, reason="nothing seen")),
        decide(change("a/slow", 1.05, verdict="inconclusive", alarm=True)),
    ]
    assert list(lines(found)) == [
        "FAIL a/slow: +5 % [+4 %, +6 %], inconclusive; surely slower by more than 1 %; Holm p = 0.0020, 12 cells, could see 3 %",
        (
            "UNSEEN a/noisy: +2 % [+1 %, +3 %], inconclusive; nothing seen; use more --seconds or a quieter machine; "
            "Holm p = 0.0020, 12 cells, could see 10 %"
        ),
        "ok b/passes: +0.1 % [-0.9 %, +1.1 %], equivalent; Holm p = 0.0020, 12 cells, could see 3 %",
        "ok b/new: new: nothing to compare with",
    ]
    assert summary(found, NAMES, complete=True) == "base main (0123), head working tree: 1 FAIL, 1 UNSEEN, 2 ok"
    assert summary([], NAMES, complete=False) == (
        "base main (0123), head working tree: no cases; interrupted: the rest was not measured"
    )
