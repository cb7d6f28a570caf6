"""Plain functions that tests serve as workers.

Not a test.
"""

import os

import numpy as np

from pytest_duet.errors import ImplementationError


def add(n, m=1):
    """Add, and write to stdout as libraries do, through Python and through the descriptor."""
    print("adding", n, m)  # noqa: T201 - what libraries do
    os.write(1, b"adding below Python\n")
    return n + m


def shout(n):
    """Fail with a message of `n` characters."""
    message = "x" * n
    raise ImplementationError(message)


def garble(n):
    """Fail with a message of `n` characters that are not Unicode."""
    message = "\udc80" * n
    raise ValueError(message)


def double(x):
    """Double an array in place and return it."""
    x *= 2
    return x


class Inside:
    """Holds a function."""

    @staticmethod
    def nested(n):
        """Return `n`."""
        return np.float64(n)


NOT_A_FUNCTION = 1
