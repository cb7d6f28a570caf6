"""Match names against patterns and expressions: selectors in specs, options and commands."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from pytest_duet.errors import SpecError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

_WORD: Final = re.compile(r"[^\s()]+")


def matches(pattern: str | Iterable[str], name: str) -> bool:
    """Return whether `name` matches one pattern, or any of several.

    A name always matches itself, even with characters that are special in a pattern: pytest's names have brackets.
    """
    patterns = [pattern] if isinstance(pattern, str) else pattern
    return any(name == each or fnmatchcase(name, each) for each in patterns)


def unmatched(option: str, patterns: Iterable[str], names: Collection[str]) -> list[str]:
    """Return a message for each of the `patterns` passed to `option` that matches none of `names`."""
    return [
        f"{option}: no case is called {pattern!r}{nearest(pattern, names)}"
        for pattern in patterns
        if not any(matches(pattern, name) for name in names)
    ]


def expression(text: str) -> Callable[[str], bool]:
    """Return a function that returns whether a name matches `text`.

    `text` consists of words that occur in the name, ``and``, ``or``, ``not`` and parentheses; empty, it matches every name.

    Raises:
        SpecError: `text` is not an expression.
    """

    def matching(name: str) -> bool:
        def truth(word: re.Match[str]) -> str:
            return word[0] if word[0] in {"and", "or", "not"} else str(word[0].lower() in name.lower())

        try:
            return not text.strip() or _value(ast.parse(_WORD.sub(truth, text), mode="eval").body)
        except (SyntaxError, ValueError):
            raise SpecError(f"{text!r} is not an expression; write for example 'lasso and not native'") from None

    matching("")
    return matching


def _value(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool(value)):
            return value
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand)
        case ast.BoolOp(op=ast.And(), values=values):
            return all(map(_value, values))
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(map(_value, values))
    raise ValueError("neither and, or, not nor a word")
