"""Which names a user's pattern means: in selectors of a spec, in options, in commands.

Not for what there is to be named: whoever asks knows.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_duet.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def matches(pattern: str | Iterable[str], name: str) -> bool:
    """Say whether `name` is meant by one pattern, or by any of several.

    A name always means itself, whatever in it would be special in a pattern: names of pytest have brackets.
    """
    patterns = [pattern] if isinstance(pattern, str) else pattern
    return any(name == each or fnmatchcase(name, each) for each in patterns)


def unmatched(option: str, patterns: Iterable[str], names: Collection[str]) -> list[str]:
    """Return a sentence for each of the `patterns` given to `option` that means none of `names`: perhaps a slip."""
    return [
        f"{option}: no case is called {pattern!r}{nearest(pattern, names)}"
        for pattern in patterns
        if not any(matches(pattern, name) for name in names)
    ]
