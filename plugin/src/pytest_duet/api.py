"""The public API: decorators that declare the members of a benchmark.

Every test session imports this module, so it imports next to nothing.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_duet.defaults import MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ATTRIBUTE = "_duet_declaration"

_F = TypeVar("_F", bound="Callable[..., object]")


@dataclass(frozen=True)
class SuiteDeclaration:
    """A benchmark whose members come from the ``task.toml`` in its folder."""

    task_folder: Path


@dataclass(frozen=True)
class Worker:
    """A program that speaks the worker protocol."""

    argv: tuple[str, ...]
    name: str
    source: str = ""
    build: str = ""


@dataclass(frozen=True)
class PairDeclaration:
    """A benchmark whose members are given in code; the first is the reference."""

    members: tuple[Callable[..., Any] | Worker, ...]
    check: Callable[[Any, Any], object] | None
    dtype: str
    margin: float

    def names(self) -> list[str]:
        """Return the members' names, in order."""
        return [member_name(member) for member in self.members]


def member_name(member: Callable[..., Any] | Worker) -> str:
    """Return the name of a member: that of a worker, or the ``__name__`` of a function in lower case."""
    return member.name if isinstance(member, Worker) else str(getattr(member, "__name__", "")).lower()


def cases(file: str) -> Callable[[_F], _F]:
    """Make the decorated benchmark run every case of the ``task.toml`` in the folder of `file`.

    The body takes the fixture `duet` and calls it without arguments::

        @cases(__file__)
        def bench_regression(duet):
            duet()
    """
    return _declare(SuiteDeclaration(Path(file).resolve().parent))


def compare(
    reference: Callable[..., Any],
    *others: Callable[..., Any] | Worker,
    check: Callable[[Any, Any], object] | None = None,
    dtype: str = "f64",
    margin: float = MARGIN,
) -> Callable[[_F], _F]:
    """Make the decorated benchmark compare `others` with the Python function `reference`.

    The arguments of `duet(...)` are bound to the signature of `reference` and passed by name: numbers, booleans and
    strings as parameters, numpy arrays as files. A worker gets the benchmark's name without ``bench_`` as its task,
    algorithm ``default`` and phase ``call``.

    Args:
        reference: the Python function that the others are compared with. Its memory can only be measured if it is
            importable by file and name.
        others: functions with the same parameters, or `worker` objects.
        check: takes (reference's result, other's result) and raises if they disagree. By default, integers must be equal
            and floating-point numbers close, as ``numpy.allclose`` defines it.
        dtype: ``f64`` or ``f32``, the type that floating-point results must have.
        margin: the relative difference in time below which speed does not matter.
    """
    _check_members((reference, *others))
    if dtype not in {"f32", "f64"}:
        msg = f"compare: dtype {dtype!r} is not known; write 'f32' or 'f64'"
        raise ValueError(msg)
    if not 0 < margin < math.inf:
        msg = f"compare: margin {margin!r} cannot be used; write a number above 0, such as {MARGIN}"
        raise ValueError(msg)
    return _declare(PairDeclaration((reference, *others), check, dtype, margin))


def _check_members(members: tuple[object, ...]) -> None:
    if isinstance(members[0], Worker) or not callable(members[0]):
        msg = f"compare: the first member is the reference and must be a Python function, not {members[0]!r}"
        raise TypeError(msg)
    if len(members) == 1:
        raise TypeError("compare: give at least one more member; one alone cannot be compared")
    for member in members:
        if not isinstance(member, Worker) and not callable(member):
            msg = f"compare: {member!r} is neither a function nor a worker(...)"
            raise TypeError(msg)


def worker(command: str | Path | Sequence[str], *, name: str, source: str | Path = "", build: str = "") -> Worker:
    """Return a member that is a program which speaks the worker protocol.

    Args:
        command: its path, or the path and arguments as a list; relative paths start at pytest's rootdir. A string without
            a slash is looked up on PATH, so a program in the rootdir itself is ``./name``.
        name: its name in ids and tables: lower-case letters, digits and _.
        source: the folder of its sources; if given, a binary that was built from other sources is refused as stale.
        build: the command that builds it; messages quote it when the program is missing or stale.
    """
    parts = [command] if isinstance(command, str | Path) else command
    # A Path names a file even where it has no slash.
    argv = tuple(os.path.join(".", part) if isinstance(part, Path) else str(part) for part in parts)  # noqa: PTH118
    return Worker(argv, name, str(source), build)


def _declare(declaration: SuiteDeclaration | PairDeclaration) -> Callable[[_F], _F]:
    def mark(function: _F) -> _F:
        setattr(function, ATTRIBUTE, declaration)
        return function

    return mark
