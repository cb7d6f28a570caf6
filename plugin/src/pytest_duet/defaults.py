"""Defaults that more than one part of the package needs, each stated once."""

from __future__ import annotations

from typing import Final

MARGIN: Final = 0.05
"""The relative difference in time below which speed does not matter."""
