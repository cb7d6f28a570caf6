"""The formats of ``duet report``, each registered by a module of this package.

To add a format, write a module here that registers one; code outside the package may register one as well. The command
offers every registered format and shows its help.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_duet.records.schema import RunRecord


@dataclass(frozen=True, slots=True)
class Options:
    """What a format may need beside the run: the name of its file without its suffix, and what the output can show.

    `width` is in characters; `verbosity` is below 0 for less than usual, above 0 for more.
    """

    stem: str
    width: int = 100
    verbosity: int = 0
    colour: bool = False
    ascii_only: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """One format: its name on the command line, what it is for, and the function that renders a run as text."""

    name: str
    purpose: str
    render: Callable[[RunRecord, Options], str]


FORMATS: Final[dict[str, Format]] = {}


def register(added: Format) -> None:
    """Add a format to the registry, in place of one of the same name."""
    FORMATS[added.name] = added


def available() -> Mapping[str, Format]:
    """Return every registered format by name; imports the modules of this package."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return FORMATS
