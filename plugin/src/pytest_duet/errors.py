"""Every exception pytest-duet raises on purpose, in one tree.

Not for deciding what an error means to a session: ``measure`` turns them into statuses, ``plugin`` into pytest outcomes.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_duet.vocabulary import Status


class DuetError(Exception):
    """Anything pytest-duet reports to its user; the message names the place, quotes the value and ends with the remedy."""


class SpecError(DuetError):
    """A spec file, or what a user declared in its place, cannot be used."""


class DataError(DuetError):
    """A data set cannot be made, read or trusted."""


class StoreError(DuetError):
    """A result cannot be written or read. Names of files and what they hold are in the message, and a terminal may act on them."""

    def __init__(self, message: str) -> None:
        """Say what happened."""
        super().__init__("".join(letter if letter.isprintable() else "?" for letter in message))


class BuildError(DuetError):
    """A worker cannot be built."""


class Undecidable(DuetError):
    """A gate has nothing it could decide by."""


class MemberError(DuetError):
    """Something that ends one member and no other.

    `status` is the word it is recorded under; `log` is the end of what the worker wrote to stderr.
    """

    status: ClassVar[Status] = "failed"

    def __init__(self, message: str, log: str = "") -> None:
        """Say what happened."""
        super().__init__(message)
        self.log = log


class Unavailable(MemberError):
    """The member cannot be tried here: not installed, not built, another protocol."""

    status = "unavailable"


class Skipped(MemberError):
    """The member is left out on purpose: unsound by declaration, or too slow for the budget."""

    status = "skipped"


class Refused(MemberError):
    """The member ran, and its comparison would be unfair or wrong: attestation, parity or quality."""

    status = "failed"


class ImplementationError(MemberError):
    """The framework itself reported an error."""

    status = "failed"


class Invalid(MemberError):
    """The member's numbers make no sense: negative time, NaN quality, a sample too many."""

    status = "invalid"


class Crashed(MemberError):
    """The worker's process ended by itself, or panicked."""

    status = "crashed"


class Killed(MemberError):
    """The worker was killed from outside, maybe for memory."""

    status = "killed"


class TimedOut(MemberError):
    """A request took longer than its deadline."""

    status = "timeout"


class ProtocolError(MemberError):
    """The worker wrote something that is no reply, or the wrong one."""

    status = "protocol"


def reason_of(error: Exception) -> str:
    """Return what `error` says, and where it is none of ours of what kind it is: some say nothing without that."""
    return str(error) if isinstance(error, DuetError) else f"{type(error).__name__}: {error}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` when a known name is close to `name`, else ``; known: ...``."""
    names = sorted(known)
    match = difflib.get_close_matches(name, names, n=1)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; known: {', '.join(names) or 'none'}"
