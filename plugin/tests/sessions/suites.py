"""Write a tiny suite to a folder: one task that fits a ridge regression, with honest members and fakes on request.

The Python members report the time of a call to the `VirtualClock`, so that sessions are short and reproducible; with a
real clock they are simply fast.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_duet.records import store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_duet.records.schema import MemberRecord, RunRecord

SCRIPTED_WORKER = Path(__file__).with_name("scripted_worker.py")

REFERENCE_NS = 4_000_000
TWIN_NS = 2_000_000

INI = """\
[pytest]
addopts = -p no:xdist -p no:hypothesispytest -p no:syrupy --strict-markers
python_files = bench_*.py
python_functions = bench_*
"""

DATA = """\
import numpy as np


def make(params, rng):
    x = rng.standard_normal((params["rows"], 3))
    return {"x": x, "y": x @ np.array([3.0, -2.0, 1.0]) + 0.1 * rng.standard_normal(len(x))}


def size(params):
    return f"{params['rows']}x3"
"""

QUALITY = """\
import numpy as np


def quality(algorithm, phase, outputs, data):
    error = data["y"] - data["x"] @ outputs["coef"][:3]
    return {"r2": float(1 - np.mean(error**2) / np.var(data["y"]))}
"""

IMPLEMENTATION = """\
import numpy as np

from pytest_duet.implementation import Implementation, Outputs
from pytest_duet.workers.host import Host


class Fit(Implementation):
    calls = 0

    def __init__(self, job):
        self.job = job.job
        self.x, self.y, self.alpha = job.array("x"), job.array("y"), job.number("alpha")

    def run(self, given):
        Fit.calls += 1
        spend = getattr(Host.clock, "spend", None)
        if spend:
            # One call in seven is a little slower, so that there is something to estimate.
            spend(@NS@ + @NS@ // 100 * (Fit.calls % 7 == 0))
        @EXTRA@
        return np.linalg.solve(self.x.T @ self.x + self.alpha * np.eye(3), self.x.T @ self.y)

    def outputs(self, result):
        return Outputs({"coef": @OUTPUT@}, iterations=1, converged=True)


IMPLEMENTATIONS = {(algorithm, phase): Fit for algorithm in @ALGORITHMS@ for phase in @PHASES@}
"""

BENCH = """\
from pytest_duet import cases


@cases(__file__)
def bench_tiny(duet):
    duet()
"""

PROFILE = """\
[smoke]
group_seconds = 1.0
observe_seconds = 0.05
request_seconds = 60.0

[long]
group_seconds = 2.0
observe_seconds = 0.05
request_seconds = 60.0
"""


@dataclass
class Python:
    """A member called in pytest's process: `ns` per call, with `extra` lines in it, and the expression `output` as result."""

    ns: int = TWIN_NS
    extra: str = "pass"
    output: str = "result"
    role: str = "rival"
    against: str = ""


@dataclass
class Program:
    """A member in its own process: the scripted worker with a `fault`."""

    fault: str = "honest"
    ns: int = TWIN_NS
    role: str = "rival"


@dataclass
class Missing:
    """A member whose Python library is not installed."""

    role: str = "rival"


@dataclass
class Binary:
    """A member launched like Rust workers: from ``target/release/duet-<name>``; None if it is not built."""

    program: str | None = None
    role: str = "rival"


Kind = Python | Program | Missing | Binary


@dataclass
class Suite:
    """A suite in folder `root`, which `write` creates."""

    root: Path
    members: Mapping[str, Kind]
    algorithms: Sequence[str] = ("fit",)
    phases: Sequence[str] = ("train",)
    workloads: Sequence[str] = ("small",)
    profiles: str = PROFILE
    rules: str = ""
    task_folder: str = "tiny"

    def write(self) -> Suite:
        """Write every file and return the suite."""
        task_folder = self.root / "benches" / self.task_folder
        task_folder.mkdir(parents=True, exist_ok=True)
        (self.root / "pytest.ini").write_text(INI)
        shutil.copy(SCRIPTED_WORKER, self.root)
        (task_folder.parent / "frameworks.toml").write_text("\n".join(self._frameworks()))
        (task_folder.parent / "profiles.toml").write_text(self.profiles)
        (task_folder / "task.toml").write_text("\n".join(self._task()) + self.rules)
        (task_folder / "data.py").write_text(DATA)
        (task_folder / "quality.py").write_text(QUALITY)
        (task_folder / f"bench_{self.task_folder}.py").write_text(BENCH)
        for name, kind in self.members.items():
            if isinstance(kind, Python):
                (task_folder / f"impl_{name}.py").write_text(self._implementation(kind))
            if isinstance(kind, Binary):
                self._crate(name, kind)
        return self

    def _implementation(self, kind: Python) -> str:
        filled = {
            "NS": str(kind.ns),
            "EXTRA": kind.extra.replace("\n", "\n        "),
            "OUTPUT": kind.output,
            "ALGORITHMS": repr(tuple(self.algorithms)),
            "PHASES": repr(tuple(self.phases)),
        }
        text = IMPLEMENTATION
        for word, value in filled.items():
            text = text.replace(f"@{word}@", value)
        return text

    def _frameworks(self) -> list[str]:
        lines = []
        for name, kind in self.members.items():
            if "." in name:
                continue
            language = "rust" if isinstance(kind, Binary) else "python"
            lines += [f"[{name}]", f'title = "{name}"', f'language = "{language}"']
            if isinstance(kind, Program):
                words = ["{python}", "{root}/scripted_worker.py", kind.fault, str(kind.ns)]
                lines.append(f"command = {json.dumps(words)}")
            if isinstance(kind, Missing):
                lines += ['modules = ["no_such_module"]', 'extra = "nowhere"']
        return lines

    def _task(self) -> list[str]:
        lines = ['title = "Tiny"', 'why = "Small enough for a test."', f"phases = {json.dumps(list(self.phases))}"]
        lines += ['dtype = "f64"']
        for name in self.algorithms:
            lines += [f"[algorithms.{name}]", 'why = "One."']
        for number, name in enumerate(self.workloads):
            lines += [f"[workloads.{name}]", 'why = "One."', f"data = {{ rows = {40 + number} }}"]
        for name, kind in self.members.items():
            lines += [f'[members."{name}"]', f'role = "{kind.role}"']
            if against := getattr(kind, "against", ""):
                lines.append(f'against = "{against}"')
        lines += ["[[params]]", "set = { alpha = 2.0 }", "[[quality]]", "floor = { r2 = 0.5 }"]
        lines += ["[[parity]]", 'output = "*"', "tolerance = 1e-9", ""]
        return lines

    def _crate(self, name: str, kind: Binary) -> None:
        crates = self.root / "rust_crates"
        for folder in (crates / "frameworks" / name, crates / "duet-worker"):
            (folder / "src").mkdir(parents=True, exist_ok=True)
            (folder / "src" / "main.rs").write_text("fn main() {}\n")
        (crates / "Cargo.lock").write_text("# nothing\n")
        if kind.program is not None:
            binary = self.root / "target" / "release" / f"duet-{name}"
            binary.parent.mkdir(parents=True, exist_ok=True)
            binary.write_text(kind.program)
            binary.chmod(0o755)

    # --- running and reading ------------------------------------------------------------------------------------------

    def command(self, *args: str) -> list[str]:
        """Return what starts pytest over the suite in a process of its own."""
        return [sys.executable, "-m", "pytest", "benches", *args]

    def environment(self) -> dict[str, str]:
        """Return the environment of such a process, without what an outer session may have set."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_", "COVERAGE_"))}
        return {**kept, "COLUMNS": "160", "PY_COLORS": "0"}

    def run(self, *args: str, seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run pytest over the suite in a process of its own."""
        return subprocess.run(
            self.command(*args),
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def runs(self) -> list[RunRecord]:
        """Return the saved runs, oldest first."""
        return [store.load(path) for path in sorted(self.root.glob("results/*/2*.json"))]

    def saved(self) -> RunRecord:
        """Return the only saved run."""
        (run,) = self.runs()
        return run

    def journals(self) -> list[Path]:
        """Return the journals that were left."""
        return sorted(self.root.glob("results/*/journal-*.jsonl"))


class VirtualClock:
    """A clock that advances only by the time that members report."""

    def __init__(self) -> None:
        """Stand at one, since nothing begins at zero."""
        self.now = 1

    def __call__(self) -> int:
        """Return the time, in ns."""
        return self.now

    def spend(self, ns: int) -> None:
        """Let `ns` pass."""
        self.now += ns


def script(fault: str, *, ns: int = TWIN_NS) -> str:
    """Return an executable that runs the scripted worker with `fault`."""
    return (
        f"#!{sys.executable}\nimport runpy, sys\n"
        f"sys.argv = ['scripted_worker', {fault!r}, '{ns}']\n"
        f"runpy.run_path({str(SCRIPTED_WORKER)!r}, run_name='__main__')\n"
    )


def members_of(run: RunRecord) -> dict[str, MemberRecord]:
    """Return the members of the only group of `run`, by name."""
    (group,) = run.groups
    return {member.name: member for member in group.members}


def statuses(run: RunRecord) -> dict[str, str]:
    """Return the status of every member of the only group of `run`."""
    return {name: member.status for name, member in members_of(run).items()}


def verdicts(run: RunRecord) -> dict[str, str]:
    """Return the verdict on every rival of `run`."""
    return {comparison.member: comparison.verdict for comparison in run.comparisons}


def benchmarks(path: Path) -> dict[str, Any]:
    """Return the benchmarks in a file of ``--benchmark-json``, by name."""
    return {each["name"]: each for each in json.loads(path.read_text())["benchmarks"]}
