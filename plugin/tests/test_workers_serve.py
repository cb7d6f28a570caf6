"""``duet serve`` answers the protocol with a Python implementation, line by line."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_duet.protocol import LINE_LIMIT_BYTES
from pytest_duet.workers.orphans import PARENT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = Path(__file__).parent / "fakes" / "functions.py"
SERVE = (sys.executable, "-m", "pytest_duet", "serve")


class Served:
    """A process of ``duet serve`` and its pipes."""

    def __init__(self, *arguments: str, **options: Any) -> None:
        self.process = subprocess.Popen(
            [*SERVE, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        )

    def write(self, line: bytes) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, op: str, number: int = 1, **fields: Any) -> dict[str, Any]:
        return self.write(json.dumps({"op": op, "id": number, **fields}).encode() + b"\n")

    def prepare(self, task: str, params: dict[str, Any], **changes: Any) -> dict[str, Any]:
        job = {"task": task, "algorithm": "default", "phase": "call", "workload": "", "variant": "", "params": params}
        rest = {"seed": 0, "threads": 1, "device": "cpu", "dtype": "f64", "data": {}}
        return self.ask("prepare", 2, job={**job, **rest, **changes})

    def end(self) -> tuple[bytes, bytes]:
        """Close stdin; return the rest of stdout, and the log."""
        return self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def adder() -> Iterator[Served]:
    """One worker for all tests that leave it running."""
    served = Served("--callable", f"{FUNCTIONS}::add", "--task", "add")
    yield served
    served.end()


def test_a_served_function_identifies_itself(adder: Served) -> None:
    hello = adder.ask("hello", protocol=1)
    assert ("hello", 1, "python", "interpreted") == (
        hello["op"],
        hello["protocol"],
        hello["framework"],
        hello["profile"],
    )
    assert 64 == len(hello["source_digest"])
    described = adder.ask("describe", 3)
    assert [{"task": "add", "algorithm": "default", "phase": "call"}] == described["implementations"]


def test_what_an_implementation_prints_goes_to_the_log(tmp_path: Path) -> None:
    served = Served("--callable", f"{FUNCTIONS}::add", "--task", "add")
    assert {"n": 2, "m": 3} == served.prepare("add", {"n": 2, "m": 3})["params"]
    verified = served.ask("verify", 3, into=str(tmp_path))
    ran = served.ask("run", 4, rounds=2, iterations=1, keep=1)
    rest, log = served.end()
    assert ("verify", 5) == (verified["op"], int(np.load(verified["outputs"]["result"])))
    assert ("run", 2, verified["digest"]) == (ran["op"], len(ran["elapsed_ns"]), ran["digest"])
    assert (b"", 0) == (rest, served.process.returncode)
    assert 3 == log.count(b"adding 2 3")
    assert 3 == log.count(b"adding below Python")


def test_an_argument_with_a_default_may_be_omitted(adder: Served, tmp_path: Path) -> None:
    adder.prepare("add", {"n": 2})
    assert 3 == int(np.load(adder.ask("verify", 3, into=str(tmp_path))["outputs"]["result"]))


def test_a_task_that_is_not_served_is_unsupported(adder: Served) -> None:
    reply = adder.prepare("subtract", {})
    assert ("error", "unsupported", 2) == (reply["op"], reply["kind"], reply["id"])


def test_a_call_with_wrong_arguments_fails_and_the_worker_goes_on(adder: Served, tmp_path: Path) -> None:
    adder.prepare("add", {"wrong": 1})
    reply = adder.ask("verify", 3, into=str(tmp_path))
    assert ("error", "failed") == (reply["op"], reply["kind"])
    assert "hello" == adder.ask("hello", 4, protocol=1)["op"]


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"op":"quit","id":1}\r\n', b"\xff\n", b'{"op":"explode","id":9}\n'])
def test_a_line_that_is_not_a_request_is_refused_and_the_worker_goes_on(line: bytes, adder: Served) -> None:
    reply = adder.write(line)
    assert ("error", "invalid", 0) == (reply["op"], reply["kind"], reply["id"])
    assert "hello" == adder.ask("hello", 4, protocol=1)["op"]


def test_a_line_over_the_limit_is_refused_once_and_the_worker_goes_on() -> None:
    served = Served("--callable", f"{FUNCTIONS}::add", "--task", "add")
    reply = served.write(b'{"op":"verify","id":1,"into":"' + b"x" * LINE_LIMIT_BYTES + b'"}\n')
    assert ("error", "invalid", 0) == (reply["op"], reply["kind"], reply["id"])
    assert "describe" == served.ask("describe", 2)["op"]
    assert b"" == served.end()[0]


def test_quit_is_answered_and_ends_the_worker() -> None:
    served = Served("--callable", f"{FUNCTIONS}::add", "--task", "add")
    assert {"op": "quit", "id": 7} == served.ask("quit", 7)
    assert 0 == served.process.wait(timeout=30)
    served.end()


@pytest.mark.parametrize("function", ["shout", "garble"])
def test_an_error_message_of_any_length_or_encoding_becomes_a_reply(function: str, tmp_path: Path) -> None:
    served = Served("--callable", f"{FUNCTIONS}::{function}", "--task", "t")
    served.prepare("t", {"n": 100_000})
    try:
        replies = [served.ask("verify", 3, into=str(tmp_path))["op"], served.ask("describe", 4)["op"]]
    except (json.JSONDecodeError, BrokenPipeError):
        replies = ["no reply"]
    served.end()
    assert ["error", "describe"] == replies


def test_a_reply_over_the_limit_becomes_an_error_reply() -> None:
    served = Served("--callable", f"{FUNCTIONS}::Inside.nested", "--task", "t")
    served.prepare("t", {"n": 1})
    try:
        replies = [
            served.ask("run", 3, rounds=40_000, iterations=1, keep=None)["op"],
            served.ask("describe", 4)["op"],
        ]
    except (json.JSONDecodeError, BrokenPipeError):
        replies = ["no reply"]
    served.end()
    assert ["error", "describe"] == replies


# --- how a worker ends ------------------------------------------------------------------------------------------------

PARENT = """
import os, subprocess, sys
reader, writer, *argv = sys.argv[1:]
worker = subprocess.Popen(argv, stdin=int(reader), stdout=int(writer), start_new_session=True)
os.close(int(writer))
print(worker.pid, flush=True)
worker.wait()
"""


def test_a_worker_ends_with_its_parent_even_if_its_pipes_stay_open() -> None:
    requests, to_worker = os.pipe()
    from_worker, replies = os.pipe()
    serve = [*SERVE, "--callable", f"{FUNCTIONS}::add", "--task", "add"]
    parent = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", PARENT, str(requests), str(replies), *serve],
        stdout=subprocess.PIPE,
        pass_fds=(requests, replies),
    )
    os.close(requests)
    os.close(replies)
    try:
        assert parent.stdout is not None
        worker = os.pidfd_open(int(parent.stdout.readline()))
        os.write(to_worker, b'{"op":"describe","id":1}\n')
        assert b'"describe"' in os.read(from_worker, 65536)
        parent.kill()
        parent.wait()
        # A pidfd becomes readable when its process ends. Stdin is still open, so its end is not the cause.
        assert [worker] == select.select([worker], [], [], 5)[0]
        os.close(worker)
    finally:
        parent.kill()
        parent.communicate()
        os.close(to_worker)
        os.close(from_worker)


def test_a_signal_stops_a_waiting_worker() -> None:
    served = Served("--callable", f"{FUNCTIONS}::add", "--task", "add")
    served.ask("describe", 1)
    served.process.send_signal(signal.SIGTERM)
    assert -signal.SIGTERM == served.process.wait(timeout=30)
    served.end()


# --- frameworks -------------------------------------------------------------------------------------------------------

FRAMEWORKS = '[mine]\ntitle = "Mine"\nlanguage = "python"\nmodules = ["json"]\ndetails = { where = "os:sep" }\n'
TASK = """
title = "T"
why = "w"
phases = ["train"]
dtype = "f64"
[algorithms.sum]
why = "w"
[workloads.small]
why = "w"
[members.mine]
role = "reference"
"""
IMPLEMENTATION = """
from pytest_duet.implementation import Implementation, Outputs
from .helper import total

class Sum(Implementation):
    def __init__(self, job):
        self.x = job.array("x")
        self.power = job.integer("power")

    def run(self, given):
        print("summing")
        return total(self.x**self.power)

    def outputs(self, result):
        return Outputs({"sum": result})

IMPLEMENTATIONS = {("sum", "train"): Sum}
"""


@pytest.fixture
def benches(tmp_path: Path) -> Path:
    folder = tmp_path / "benches"
    (folder / "sums").mkdir(parents=True)
    (folder / "frameworks.toml").write_text(FRAMEWORKS)
    (folder / "profiles.toml").write_text("[smoke]\n")
    (folder / "sums" / "task.toml").write_text(TASK)
    (folder / "sums" / "impl_mine.py").write_text(IMPLEMENTATION)
    (folder / "sums" / "helper.py").write_text("def total(x):\n    return x.sum()\n")
    return folder


def test_a_framework_is_served_from_its_task_folders(benches: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1.0, 2.0, 3.0]))
    served = Served("--benches", str(benches), "--framework", "mine")
    hello = served.ask("hello", protocol=1)
    described = served.ask("describe", 2)
    job = {"algorithm": "sum", "phase": "train", "data": {"x": str(tmp_path / "x.npy")}}
    prepared = served.prepare("sums", {"power": 2}, **job)
    verified = served.ask("verify", 3, into=str(tmp_path))
    other = served.prepare("sums", {"power": 2}, **{**job, "phase": "predict"})
    rest, log = served.end()
    assert ("mine", {"where": "/"}) == (hello["framework"], hello["details"])
    assert [{"task": "sums", "algorithm": "sum", "phase": "train"}] == described["implementations"]
    assert ({"power": 2}, ["x"]) == (prepared["params"], list(prepared["data"]))
    assert 14.0 == float(np.load(verified["outputs"]["sum"]))
    assert ("error", "unsupported", "mine has no sum predict in sums/impl_mine.py") == (
        other["op"],
        other["kind"],
        other["message"],
    )
    assert (b"", b"summing\n") == (rest, log)


def test_an_unknown_framework_is_a_usage_error_that_suggests_the_nearest(benches: Path) -> None:
    served = Served("--benches", str(benches), "--framework", "mien")
    _, log = served.end()
    assert 2 == served.process.returncode
    assert b"unknown framework 'mien'; did you mean 'mine'?" in log


def test_serve_without_framework_or_function_is_a_usage_error() -> None:
    served = Served()
    _, log = served.end()
    assert (2, True) == (served.process.returncode, b"give --benches and --framework, or --callable" in log)


def test_a_worker_that_starts_as_an_orphan_exits_at_once() -> None:
    served = subprocess.run(
        [sys.executable, "-m", "pytest_duet", "serve", "--callable", "none.py::f"],
        env={**os.environ, PARENT_VARIABLE: "1"},
        input=b"",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (1, b"", b"") == (served.returncode, served.stdout, served.stderr)
