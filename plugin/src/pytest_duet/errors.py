"""Every exception that pytest-duet raises on purpose, in one tree."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_duet.vocabulary import Status


class DuetError(Exception):
    """An error for the user; its message names the place, quotes the value and ends with the remedy."""


class SpecError(DuetError):
    """A spec file, an option or a declaration in code cannot be used."""


class DataError(DuetError):
    """A data set cannot be created or read, or is not the expected one."""


class StoreError(DuetError):
    """A saved result cannot be written or read.

    The message quotes names and contents of files, so characters that a terminal might act on are replaced.
    """

    def __init__(self, message: str) -> None:
        """Take the `message`, which may hold any character."""
        super().__init__("".join(letter if letter.isprintable() else "?" for letter in message))


class BuildError(DuetError):
    """A worker cannot be built."""


class Undecidable(DuetError):
    """A gate lacks what it needs for a decision."""


class MemberError(DuetError):
    """An error that ends the measurement of one member and of no other.

    `status` is the member's status from then on; `log` is the end of what the worker wrote to stderr.
    """

    status: ClassVar[Status] = "failed"

    def __init__(self, message: str, log: str = "") -> None:
        """Take the `message` and the end of the worker's log."""
        super().__init__(message)
        self.log = log


class Unavailable(MemberError):
    """The member cannot run here: not installed, not built, or of another protocol version."""

    status = "unavailable"


class Skipped(MemberError):
    """The member is left out on purpose: unsound by declaration, or too slow for the budget."""

    status = "skipped"


class Refused(MemberError):
    """The member ran, but failed attestation, parity or quality: comparing it would be unfair or wrong."""

    status = "failed"


class ImplementationError(MemberError):
    """The framework reported an error."""

    status = "failed"


class Invalid(MemberError):
    """The member's numbers cannot be right: a negative time, a quality of NaN, too many samples."""

    status = "invalid"


class Crashed(MemberError):
    """The worker's process ended by itself, or panicked."""

    status = "crashed"


class Killed(MemberError):
    """The worker was killed from outside, maybe because memory ran out."""

    status = "killed"


class TimedOut(MemberError):
    """A request took longer than its deadline."""

    status = "timeout"


class ProtocolError(MemberError):
    """The worker wrote something other than the expected reply."""

    status = "protocol"


def reason_of(error: BaseException) -> str:
    """Return the message of `error`, with its type where it is not a `DuetError`: some have no message."""
    return str(error) if isinstance(error, DuetError) else f"{type(error).__name__}: {error}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` when a known name is close to `name`, else ``; known: ...``."""
    names = sorted(known)
    match = difflib.get_close_matches(name, names, n=1)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; known: {', '.join(names) or 'none'}"
