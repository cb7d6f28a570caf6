"""Plain text in columns and paragraphs: every table and page for terminals and logs is laid out here."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

from pytest_duet.report.escape import for_ascii, for_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NARROWEST: Final = 72
GAP: Final = "  "
_HANGING: Final = "    "
_HARD_SPACE: Final = "\N{NO-BREAK SPACE}"
_TOGETHER: Final = re.compile(r"\[[-+.\de]+, [-+.\de]+\]|\d (?:%|[KMG]?i?B\b|[mun]?s\b)|[pn] [=<] ")
"""What is read as one and therefore not broken over lines: intervals, numbers with their units."""


def padded(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """Return `texts`, each as wide as its column; those that `right` marks are set to the right."""
    columns = zip(texts, widths, right, strict=True)
    return [text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in columns]


def table(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Return `rows` as lines; each column is as wide as its longest text and set to the right where `right` marks it."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [GAP.join(padded(row, widths, right)) for row in rows]


def wrapped(text: str, width: int, first: str = "", rest: str = _HANGING) -> list[str]:
    """Return `text`, made safe, as lines of at most `width`; `first` and `rest` indent the first line and the others."""
    clean = _TOGETHER.sub(lambda match: match[0].replace(" ", _HARD_SPACE), for_line(text))
    # A long name must not leave a column one word wide.
    rest = rest if len(rest) <= width // 2 else _HANGING
    lines = textwrap.wrap(clean, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return [line.replace(_HARD_SPACE, " ") for line in lines] or [first]


def page(lines: Iterable[str], *, ascii_only: bool = False) -> str:
    """Return `lines` as a text that ends with one newline, in ASCII where nothing else can be shown."""
    text = "\n".join(line.rstrip() for line in lines).rstrip("\n") + "\n"
    return for_ascii(text) if ascii_only else text
