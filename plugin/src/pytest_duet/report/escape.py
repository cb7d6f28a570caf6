"""One door out for each place that text is shown: whatever workers, specs or files say stays text there.

Not for formatting numbers (``units``).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that move, hide or reorder what is beside them: controls, bidi marks, line separators."""

_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~$@-])")
_ASCII: Final = str.maketrans(
    {"≤": "<=", "≥": ">=", "·": "-", "×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "μ": "u", "µ": "u"}
)


def for_line(text: str) -> str:
    """Return `text` as one line that no terminal or log acts upon: white space is one space, hidden characters are `?`."""
    words = " ".join(text.split())
    return "".join("?" if unicodedata.category(letter) in _HIDDEN else letter for letter in words)


def for_markdown(text: str) -> str:
    """Return `text` as one line of literal Markdown, fit for a table's cell."""
    return _MARKDOWN.sub(lambda match: f"&#{ord(match[1])};" if match[1] in "<>|@" else f"\\{match[1]}", _amp(text))


def _amp(text: str) -> str:
    return for_line(text).replace("&", "&amp;")


def for_ascii(text: str) -> str:
    """Return `text` in ASCII, for outputs that can show nothing else; what has no likeness becomes `?`."""
    return text.translate(_ASCII).encode("ascii", "replace").decode()
