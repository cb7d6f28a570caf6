"""Compare machine learning in Rust and in Python so that the answer can be believed: a pytest-benchmark plugin.

Not for the measuring itself: every package below states its purpose in its first line.
"""

from pytest_duet.api import cases, compare, worker

__all__ = ["__version__", "cases", "compare", "worker"]

__version__ = "0.1.0.dev0"
