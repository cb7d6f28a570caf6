"""Messages with default fields, of which a test changes those it needs.

Not a test.
"""

from __future__ import annotations

from typing import Any

from pytest_duet.protocol import (
    Capability,
    Features,
    HelloReply,
    Job,
    OutputsReply,
    PrepareReply,
    RunReply,
    VerifyReply,
)

CAPABILITY = Capability(task="t", algorithm="a", phase="p")


def job(**changes: Any) -> Job:
    """Return a job for one thread."""
    plain: dict[str, Any] = {
        "task": "t",
        "algorithm": "a",
        "phase": "p",
        "workload": "w",
        "variant": "",
        "params": {},
        "seed": 0,
        "threads": 1,
        "device": "cpu",
        "dtype": "f64",
        "data": {},
    }
    return Job(**{**plain, **changes})


def hello(request_id: int = 1, **changes: Any) -> HelloReply:
    """Return the greeting of a release build."""
    plain: dict[str, Any] = {
        "protocol": 1,
        "framework": "fake",
        "versions": {"fake": "1.0"},
        "source_digest": "ab" * 32,
        "lock_digest": "cd" * 32,
        "compiler": "rustc 1.95.0",
        "profile": "release",
        "features": Features(detected=[], compiled=[]),
        "blas": [],
        "details": {},
    }
    return HelloReply(id=request_id, **{**plain, **changes})


def prepared(request_id: int = 1, **changes: Any) -> PrepareReply:
    """Return the reply of a worker that prepared exactly `job()`."""
    plain: dict[str, Any] = {
        "params": {},
        "threads": 1,
        "device": "cpu",
        "dtype": "f64",
        "data": {},
        "max_iterations": None,
    }
    return PrepareReply(id=request_id, **{**plain, **changes})


def verified(request_id: int = 1, **changes: Any) -> VerifyReply:
    """Return the reply of a worker that ran once."""
    plain: dict[str, Any] = {
        "outputs": {},
        "digest": "ef" * 32,
        "iterations": None,
        "converged": None,
        "loss": [],
        "elapsed_ns": 1000,
    }
    return VerifyReply(id=request_id, **{**plain, **changes})


def timed(request_id: int = 1, **changes: Any) -> RunReply:
    """Return the reply with one round of a microsecond."""
    plain: dict[str, Any] = {"elapsed_ns": [1000], "digest": None, "spans": {}, "work": {}}
    return RunReply(id=request_id, **{**plain, **changes})


def kept(request_id: int = 1, **changes: Any) -> OutputsReply:
    """Return the reply with the kept outputs."""
    plain: dict[str, Any] = {"outputs": {"x": "out/x.npy"}, "digest": "ef" * 32}
    return OutputsReply(id=request_id, **{**plain, **changes})
