"""Put text between the markers of a document: ``<!-- duet:begin NAME -->`` and ``<!-- duet:end NAME -->``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

BEGIN: Final = "<!-- duet:begin -->"
END: Final = "<!-- duet:end -->"
_MARKER: Final = re.compile(r"<!-- duet:(?P<which>begin|end)(?: (?P<name>[^\s>]+))? -->")


def fill(document: str, sections: Collection[str], render: Callable[[str], str]) -> str:
    """Return `document` with the text of each marked section replaced by what `render` returns for its name.

    Raises:
        ValueError: there are no markers, they are not in pairs, a section is marked twice or is not one of `sections`.
    """
    found = list(_MARKER.finditer(document))
    _check(found, sections)
    filled, at = [], 0
    for begin, end in zip(found[::2], found[1::2], strict=True):
        filled += [document[at : begin.end()], "\n", render(begin["name"] or "")]
        at = end.start()
    return "".join([*filled, document[at:]])


def _check(found: list[re.Match[str]], sections: Collection[str]) -> None:
    names = [each["name"] or "" for each in found]
    for name in names:
        if name not in sections:
            known = ", ".join(filter(None, sections))
            raise ValueError(f"no section is called {name!r}; write one of {known}, or a marker without a name")
    paired = names[::2] == names[1::2] and [each["which"] for each in found] == ["begin", "end"] * (len(found) // 2)
    if not names or not paired or len(set(names)) * 2 != len(names):
        raise ValueError(
            f"must hold {BEGIN} once and, after it, {END} once; add them where the table belongs. A section of its own "
            f"has its name in both: {', '.join(filter(None, sections))}"
        )
