"""Limit the threads of Python's numeric libraries, and read how many are in effect."""

from __future__ import annotations

import importlib
import importlib.util
from functools import reduce
from typing import Any, cast


def resolve(name: str) -> Any:
    """Import ``module`` and return its attribute, for a name such as ``module:attribute.attribute``."""
    module, _, attributes = name.partition(":")
    return reduce(getattr, attributes.split("."), importlib.import_module(module))


class Threads:
    """The thread limit of one framework: through its own setter and getter (``module:function``), or threadpoolctl."""

    def __init__(self, setter: str = "", getter: str = "") -> None:
        self._setter, self._getter = setter, getter
        self._pools: Any = None
        self._before: int | None = None

    def limit(self, threads: int) -> None:
        """Limit the libraries to `threads` threads."""
        if self._before is None and self._getter:
            self._before = self.in_effect()
        if self._setter:
            resolve(self._setter)(threads)
        if importlib.util.find_spec("threadpoolctl"):
            from threadpoolctl import threadpool_limits

            limits = threadpool_limits(limits=threads)
            # The first call remembers the limits to restore.
            if self._pools is None:
                self._pools = limits

    def in_effect(self) -> int:
        """Return how many threads may run now: what the getter returns, else the size of the largest pool, else 1."""
        if self._getter:
            return int(resolve(self._getter)())
        return max((int(pool["num_threads"]) for pool in _pools()), default=1)

    def restore(self) -> None:
        """Undo `limit`."""
        if self._pools is not None:
            self._pools.restore_original_limits()
            self._pools = None
        if self._setter and self._before is not None:
            resolve(self._setter)(self._before)
            self._before = None


def blas() -> list[str]:
    """Return the BLAS libraries loaded in this process, as ``openblas 0.3.30 pthreads``; empty without threadpoolctl."""
    return [
        " ".join(str(pool[key]) for key in ("internal_api", "version", "threading_layer") if pool.get(key))
        for pool in _pools()
        if pool["user_api"] == "blas"
    ]


def _pools() -> list[dict[str, Any]]:
    if not importlib.util.find_spec("threadpoolctl"):
        return []
    from threadpoolctl import threadpool_info

    return cast("list[dict[str, Any]]", threadpool_info())
