"""Escape text for each place it is shown in, so that what comes from workers, specs or files stays plain text there."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that move, hide or reorder the text around them: controls, bidi marks, line separators."""

_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]#~$])")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "://": ":&#47;/", "www.": "www&#46;"}
_ASCII: Final = str.maketrans(
    {"≤": "<=", "≥": ">=", "·": "-", "×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "μ": "u", "µ": "u"}
)


def for_line(text: str) -> str:
    """Return `text` as one line without control characters: white space is one space, hidden characters are `?`."""
    return "".join("?" if unicodedata.category(letter) in _HIDDEN else letter for letter in " ".join(text.split()))


def for_markdown(text: str) -> str:
    """Return `text` as one line of literal Markdown that also fits into a table."""
    escaped = _MARKDOWN.sub(r"\\\1", for_line(text))
    for plain, entity in _ENTITIES.items():
        escaped = escaped.replace(plain, entity)
    return escaped


def for_ascii(text: str) -> str:
    """Return `text` in ASCII, for outputs that can show nothing else; characters without a counterpart become `?`."""
    return text.translate(_ASCII).encode("ascii", "replace").decode()


def needs_ascii(encoding: str | None) -> bool:
    """Return whether a stream of this `encoding` can show no more than ASCII for certain."""
    return not (encoding or "ascii").lower().startswith("utf")
