"""The checks that language models have besides the usual ones."""

from __future__ import annotations

from ..checks import strays

CHECKS = {"strays": strays}
