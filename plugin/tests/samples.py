"""Hand-made records: groups with every status and role, whose rounds follow from a formula and never from a clock.

Not a test.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from pytest_duet.analysis.comparison import compare_run
from pytest_duet.protocol import Features
from pytest_duet.records.schema import (
    SCHEMA,
    Attestation,
    Bound,
    GroupRecord,
    Machine,
    MemberRecord,
    ParityRecord,
    Reading,
    RunRecord,
)
from pytest_duet.values import NonFinite

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = Machine(
    fingerprint="0123456789abcdef",
    cpu="Example(R) CPU @ 2.00GHz",
    logical_cpus=4,
    memory_bytes=16 * 1024**3,
    kernel="6.1",
    architecture="x86_64",
)


def cells(typical_ns: float, count: int = 10, cycles: int = 3, spread: float = 0.01) -> list[list[list[int]]]:
    """Return rounds about `typical_ns` that vary by `spread` from cell to cell, the same ones each time."""
    return [
        [
            [
                round(typical_ns * math.exp(spread * math.sin(7 * cell + typical_ns) + 0.004 * (cycle + extra)))
                for extra in range(3)
            ]
            for cycle in range(cycles)
        ]
        for cell in range(count)
    ]


def attestation(framework: str, *, profile: str = "release") -> Attestation:
    """Return what a worker of `framework` says of itself."""
    return Attestation(
        framework=framework,
        versions={framework: "1.2.3"},
        compiler="rustc 1.95.0" if profile == "release" else "CPython 3.11.9",
        profile=profile,
        source_digest="ab" * 32,
        lock_digest="cd" * 32,
        features=Features(detected=["avx2"], compiled=["sse2"]),
        blas=[] if profile == "release" else ["openblas 0.3.30"],
        details={},
        params={"alpha": 10.0},
        threads=1,
        device="cpu",
        dtype="f64",
        data={"x": "ef" * 32},
    )


def readings(peak_mib: float) -> list[Reading]:
    """Return what the observers saw; the energy is never available."""
    return [
        Reading(metric="peak_memory", unit="bytes", value=round(peak_mib * 1024**2)),
        Reading(metric="average_memory", unit="bytes", value=round(peak_mib * 0.9 * 1024**2)),
        Reading(metric="cpu_utilisation", unit="ratio", value=0.998),
        Reading(metric="energy", unit="J", value=None, reason="no counter is readable here"),
    ]


def member(name: str, typical_ns: float = 1e6, **changes: object) -> MemberRecord:
    """Return an ok rival of about `typical_ns` a round, one call a round, with `changes` applied."""
    framework, _, variant = name.partition(".")
    record = MemberRecord(
        name=name,
        framework=framework,
        variant=variant,
        role="rival",
        language="rust",
        status="ok",
        attestation=attestation(framework),
        parity=[
            ParityRecord(output="coef", check="close", error=3.1e-15, tolerance=1e-10, passed=True),
            ParityRecord(output="intercept", check="close", error=2e-12, tolerance=1e-8, passed=True),
        ],
        quality=[Bound(metric="r2", value=0.98765, floor=0.9), Bound(metric="rmse", value=12.34)],
        iterations=17,
        converged=True,
        first_call_ns=round(3 * typical_ns),
        cells=cells(typical_ns),
        readings=readings(41.5),
    )
    return msgspec.structs.replace(record, **changes)


def reference(name: str = "sklearn", typical_ns: float = 1e6, **changes: object) -> MemberRecord:
    """Return the ok reference."""
    plain = {
        "role": "reference",
        "language": "python",
        "attestation": attestation(name, profile="interpreted"),
        "parity": [ParityRecord(output="coef", check="close", error=0.0, tolerance=1e-10, passed=True)],
        "readings": readings(180.2),
    }
    return member(name, typical_ns, **{**plain, **changes})


def without_numbers(name: str, status: str, reason: str, **changes: object) -> MemberRecord:
    """Return a member that was not timed."""
    nothing = {"cells": [], "readings": [], "parity": [], "quality": [], "attestation": None}
    return member(
        name, status=status, reason=reason, **{**nothing, "iterations": None, "first_call_ns": None, **changes}
    )


def group(*members: MemberRecord, **changes: object) -> GroupRecord:
    """Return the group of `members`, the first of which is the reference, with `changes` applied."""
    record = GroupRecord(
        id="regression::ridge-train-synthetic",
        task="regression",
        algorithm="ridge",
        phase="train",
        workload="synthetic",
        workload_size="20000x100",
        threads=1,
        device="cpu",
        dtype="f64",
        mode="direct",
        profile="smoke",
        margin=0.05,
        reference=members[0].name if members else "sklearn",
        data_digest="12" * 32,
        verified_only=False,
        elapsed_ns=4_000_000_000,
        members=list(members),
    )
    return msgspec.structs.replace(record, **changes)


def run(*groups: GroupRecord, **changes: object) -> RunRecord:
    """Return the run of `groups` with its comparisons."""
    record = RunRecord(
        schema=SCHEMA,
        created="2026-01-02T03:04:05Z",
        version="0.1.0",
        machine=MACHINE,
        profile="smoke",
        mode="direct",
        complete=True,
        groups=list(groups),
        comparisons=compare_run(groups),
    )
    return msgspec.structs.replace(record, **changes)


def everything() -> RunRecord:
    """Return a run with every status, role and verdict a table must be able to show."""
    unsound = "not comparable: elastic net with l1_ratio 0 never meets its stop rule, so each fit runs 1000 sweeps"
    unbuilt = "not built: cargo build --release --manifest-path rust_crates/Cargo.toml -p duet-tch"
    wrong = [
        ParityRecord(output="coef", check="close", error=0.43, tolerance=1e-9, passed=False),
        ParityRecord(output="intercept", check="close", error=NonFinite("nan"), tolerance=1e-9, passed=False),
    ]
    return run(
        group(
            reference(),
            member("native", 0.76e6),
            member(
                "native.gram", 0.171e6, readings=[Reading(metric="peak_memory", unit="bytes", value=NonFinite("nan"))]
            ),
            member("smartcore", 35.2e6),
            member("faer", 0.985e6),
            member("sklearn.novalidate", 0.91e6, role="context", language="python"),
            without_numbers("linfa", "skipped", unsound, reproducer="docs/known-differences.md#linfa-ridge"),
            flags=["no steady state: native"],
        ),
        group(
            reference(cells=cells(9e6, count=5)),
            member("linfa", 9.4e6, cells=cells(9.4e6, count=5)),
            member("native", 4.1e6, cells=cells(4.1e6, count=5)),
            without_numbers("smartcore", "failed", "parity: coef is off by 0.43, more than 1e-9", parity=wrong),
            without_numbers("burn", "interrupted", "the session was interrupted"),
            id="regression::lasso-train-diabetes",
            algorithm="lasso",
            workload="diabetes",
            workload_size="442x10",
        ),
        group(
            reference("torch", 4.7e6),
            member("candle", 4.8e6, cells=cells(4.8e6, spread=0.2)),
            without_numbers("tch", "unavailable", unbuilt),
            without_numbers(
                "burn", "crashed", "SIGSEGV during run: thread 'main' \x1b[31mpanicked\x1b[0m at \u202eevil | *here*"
            ),
            id="cnn::lenet-train-digits",
            task="cnn",
            algorithm="lenet",
            workload="digits",
            workload_size="batch 64",
            dtype="f32",
        ),
        group(
            without_numbers("torch", "failed", "quality: accuracy 0.105 is below the floor of 0.8", role="reference"),
            without_numbers("tch", "unavailable", unbuilt),
            member("candle"),
            id="cnn::lenet-predict-digits",
            task="cnn",
            algorithm="lenet",
            phase="predict",
            workload="digits",
            workload_size="batch 1",
            dtype="f32",
        ),
        group(
            reference(cells=[]),
            member("linfa", cells=[]),
            id="svm::svc-train-moons",
            task="svm",
            algorithm="svc",
            workload="moons",
            workload_size="2000x20",
            verified_only=True,
        ),
    )


def damaged(tmp_path: Path, content: bytes) -> Path:
    """Return the path of a file that holds `content`."""
    path = tmp_path / "run.json"
    path.write_bytes(content)
    return path


def copied(path: Path, count: int) -> list[Path]:
    """Return copies of the run at `path`, each with one more line end after its checksum."""
    copies = [path.with_name(f"copy{index}.json") for index in range(1, count + 1)]
    for index, copy in enumerate(copies, start=1):
        copy.write_bytes(path.read_bytes() + b"\n" * index)
    return copies
