"""The checks that recurrent networks have besides the usual ones."""

from __future__ import annotations

from ..checks import strays

CHECKS = {"strays": strays}
