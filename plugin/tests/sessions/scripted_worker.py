"""A worker that fits the small ridge regression correctly, except for the fault that its first argument names.

Not a test. The second argument is how many nanoseconds it claims for a call; it reads no clock. numpy is imported where it
is used: there are many of these processes, and most of them need only report durations.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FAULT = sys.argv[1]
CALL_NS = int(sys.argv[2])
BURNERS = 8
ZERO = "0" * 64


def digest(outputs: dict[str, np.ndarray]) -> str:
    """Return the digest of named arrays, as the protocol defines it."""
    total = hashlib.sha256()
    for name in sorted(outputs):
        array = outputs[name]
        total.update(f"{name}\0{array.dtype.str}\0{','.join(map(str, array.shape))}\0".encode() + array.tobytes())
    return total.hexdigest()


class Worker:
    """Holds the job and the kept output."""

    def __init__(self) -> None:
        self.job: dict[str, Any] = {}
        self.kept: dict[str, np.ndarray] = {}
        self.content: dict[str, bytes] = {}
        self.runs = 0
        self.rounds_sent = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any] | bytes | None:
        """Return the reply: a message, raw bytes, or None for silence."""
        return getattr(self, request["op"])(request)

    def hello(self, request: dict[str, Any]) -> dict[str, Any]:
        if FAULT == "prints_escapes":
            sys.stderr.write("\x1b]0;owned\x07\x1b[2Jgone\u202e\n")
            sys.exit(9)
        return {
            "op": "hello",
            "protocol": 99 if FAULT == "other_protocol" else 1,
            "framework": "scripted",
            "versions": {"scripted": "1"},
            "source_digest": os.environ.get("SCRIPTED_SOURCES", ZERO),
            "lock_digest": os.environ.get("SCRIPTED_LOCK", ZERO),
            "compiler": "none",
            "profile": "debug" if FAULT == "debug_build" else "release",
            "features": {"detected": [], "compiled": []},
            "blas": [],
            "details": {},
        }

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"op": "describe", "implementations": []}

    def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        self.job = request["job"]
        if FAULT == "unsupported":
            return {"op": "error", "kind": "unsupported", "message": "no such thing here"}
        if FAULT == "panics":
            return {"op": "error", "kind": "panic", "message": "index out of bounds"}
        seen = dict(self.job["data"])
        content = {name: Path(path).read_bytes() for name, path in seen.items()}
        if FAULT == "other_data":
            content["y"] = self._changed(content["y"])
        hashes = {name: hashlib.sha256(each).hexdigest() for name, each in content.items()}
        self.content = content
        params = dict(self.job["params"])
        if FAULT == "never_reads_alpha":
            del params["alpha"]
        if FAULT == "other_alpha":
            params["alpha"] = 3.0
        if FAULT == "own_param":
            params["beta"] = 1
        return {
            "op": "prepare",
            "params": params,
            "threads": 2 if FAULT == "two_threads" else 1,
            "device": "cuda:0" if FAULT == "other_device" else self.job["device"],
            "dtype": "f32" if FAULT == "says_f32" else self.job["dtype"],
            "data": {} if FAULT == "reads_no_data" else hashes,
            "max_iterations": None,
        }

    @staticmethod
    def _changed(npy: bytes) -> bytes:
        import numpy as np

        buffer = io.BytesIO()
        np.save(buffer, np.load(io.BytesIO(npy))[::-1])
        return buffer.getvalue()

    def _default_inputs(self) -> float:
        values = self.job["params"].values()
        return float(sum(float(each["nonfinite"]) if isinstance(each, dict) else each for each in values))

    def fit(self) -> dict[str, np.ndarray]:
        """Return the outputs of one call."""
        import numpy as np

        arrays = {name: np.load(io.BytesIO(each)) for name, each in self.content.items()}
        if self.job["algorithm"] == "default":
            total = self._default_inputs() + sum(float(each.sum()) for each in arrays.values())
            return {"result": np.float64(total) + (FAULT == "wrong_sum")}
        x, y, alpha = arrays["x"], arrays["y"], float(self.job["params"]["alpha"])
        if FAULT == "secret_data":
            y = y[::-1]
        if FAULT == "mutes_alpha":
            alpha = 0.0
        coef = np.linalg.solve(x.T @ x + alpha * np.eye(3), x.T @ y)
        outputs = {
            "predicts_mean": np.zeros(3),
            "nearly_mean": np.array([1e-6, -1e-6, 2e-6]),
            "constant": np.full(3, 1.5),
            "constant_judged": np.full(3, 1.5),
            "nan_output": np.full(3, np.nan),
            "nan_quality": np.array([np.nan, 1.0, 2.0]),
            "one_nan": np.where(np.arange(3) == 2, np.nan, coef),
            "writes_f32": coef.astype(np.float32),
            "scalar_output": np.float64(coef[0]),
            "other_shape": np.append(coef, 0.0),
            "integers": np.round(coef).astype(np.int64),
        }
        result = {"coef": outputs.get(FAULT, coef)}
        if FAULT == "one_more_output":
            result["more"] = coef
        return result

    def write(self, outputs: dict[str, np.ndarray], into: str) -> dict[str, str]:
        """Write every output and return the paths."""
        import numpy as np

        paths = {}
        for name, array in outputs.items():
            path = Path(into) / f"{name}.npy"
            if FAULT == "writes_elsewhere":
                path = Path(into).parent / f"scripted-{os.getpid()}.npy"
            np.save(path, array)
            if FAULT == "pickles":
                np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
            paths[name] = str(path)
        return {} if FAULT == "no_outputs" else paths

    def verify(self, request: dict[str, Any]) -> dict[str, Any] | bytes | None:
        if FAULT == "exits":
            sys.stderr.write("the reason why\n")
            sys.exit(3)
        if FAULT == "hangs":
            return None
        if FAULT == "fails":
            return {"op": "error", "kind": "failed", "message": "did not converge"}
        outputs = self.fit()
        claimed = {"zero_clock": 0, "backwards_clock": -5}.get(FAULT, CALL_NS)
        return {
            "op": "verify",
            "outputs": self.write(outputs, request["into"]),
            "digest": ZERO if FAULT == "verifies_another_digest" else digest(outputs),
            "iterations": None,
            "converged": None,
            "loss": [],
            "elapsed_ns": claimed,
        }

    def run(self, request: dict[str, Any]) -> dict[str, Any] | bytes | None:
        self.runs += 1
        rounds, calls, keep = request["rounds"], request["iterations"], request["keep"]
        if FAULT == "burns":
            return self._burn(request)
        elapsed: list[Any] = [CALL_NS * calls] * rounds
        if FAULT == "never_settles":
            elapsed = [round(ns * 1.01 ** min(self.rounds_sent + number, 400)) for number, ns in enumerate(elapsed)]
        self.rounds_sent += rounds
        timed = self.runs > 1
        if timed:
            wrong = self._misbehave(elapsed)
            if wrong is not None:
                return wrong
        if keep is not None:
            self.kept = self.fit()
        if FAULT in {"wrong_later", "repeats_digest"}:
            self.kept = {name: each * 0 for name, each in self.kept.items()}
            elapsed = [max(1, ns // 1000) for ns in elapsed]
        if FAULT == "repeats_digest":
            return self._ran(elapsed, digest(self.fit()) if keep is not None else None)
        if FAULT == "other_digest_same_output":
            return self._ran(elapsed, ZERO if keep is not None else None)
        return self._ran(elapsed, digest(self.kept) if keep is not None and FAULT != "no_digest" else None)

    def _ran(self, elapsed: list[Any], kept: str | None) -> dict[str, Any]:
        return {"op": "run", "elapsed_ns": elapsed, "digest": kept, "spans": {}, "work": {}}

    def _misbehave(  # noqa: C901, PLR0911, PLR0912 - a list of faults, one a case
        self, elapsed: list[Any]
    ) -> dict[str, Any] | bytes | None:
        """Return a wrong reply to a timed run, change `elapsed` in place, or do nothing."""
        match FAULT:
            case "zero_round":
                elapsed[-1] = 0
            case "backwards_round":
                elapsed[0] = -1
            case "nan_round":
                elapsed[0] = {"nonfinite": "nan"}
            case "half_nanoseconds":
                elapsed[0] = 1000.5
            case "fewer_rounds":
                elapsed.pop()
            case "more_rounds":
                elapsed.append(elapsed[0])
            case "crashes_later":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "is_killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "garbage":
                return b"12 rounds took 3 ms\n"
            case "binary_garbage":
                return b'{"op":"run","id":\xff\xfe}\n'
            case "carriage_return":
                return b'{"op":"quit","id":1}\r\n'
            case "endless_line":
                return b"x" * 70_000
            case "other_reply":
                return {"op": "quit"}
            case "other_id":
                return {"op": "quit", "id": 999_999}
            case "leaves":
                sys.exit(0)
        return None

    def _burn(self, request: dict[str, Any]) -> dict[str, Any]:
        """Work on many threads, whatever was attested; numpy releases the interpreter lock."""
        import numpy as np

        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -10)
        elapsed = []
        table = np.ones((300, 300))
        for _ in range(request["rounds"]):
            start = time.perf_counter_ns()
            until = start + 20_000_000

            def work(until: int = until) -> None:
                while time.perf_counter_ns() < until:
                    np.sin(table)

            threads = [threading.Thread(target=work) for _ in range(BURNERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            elapsed.append(time.perf_counter_ns() - start)
        self.kept = self.fit()
        return self._ran(elapsed, digest(self.kept) if request["keep"] is not None else None)

    def outputs(self, request: dict[str, Any]) -> dict[str, Any]:
        claimed = self.fit() if FAULT == "repeats_digest" else self.kept
        return {"op": "outputs", "outputs": self.write(self.kept, request["into"]), "digest": digest(claimed)}

    def quit(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"op": "quit"}


def main() -> None:
    """Answer line by line until `quit` or the end of stdin."""
    worker = Worker()
    if FAULT == "floods_log":
        sys.stderr.write("noise\n" * 50_000)
    note = os.environ.get("SCRIPTED_PIDS")
    if note:
        with Path(note).open("a") as file:
            file.write(f"{os.getpid()}\n")
    for line in sys.stdin.buffer:
        request = json.loads(line)
        reply = worker.answer(request)
        if reply is None:
            continue
        if not isinstance(reply, bytes):
            reply = json.dumps({"id": request["id"], **reply}).encode() + b"\n"
        os.write(1, reply)
        if request["op"] == "quit":
            break


if __name__ == "__main__":
    main()
