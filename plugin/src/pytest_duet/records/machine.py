"""The machine a session runs on, and the folder of its saved runs."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from pytest_duet.errors import StoreError
from pytest_duet.records.schema import Machine

_LONGEST_SLUG: Final = 40


def this_machine() -> Machine:
    """Return this machine, without host name, user or path.

    The fingerprint is a SHA-256 over what makes times comparable: the CPU's model, the number of CPUs, memory in GiB,
    architecture, and the kernel's major and minor version. Two machines of the same model share it.
    """
    import psutil

    cpu, architecture = _cpu_model(), platform.machine()
    logical_cpus = psutil.cpu_count() or os.cpu_count() or 1
    memory_bytes = int(psutil.virtual_memory().total)
    kernel = ".".join(re.findall(r"\d+", platform.release())[:2])
    parts = (cpu, str(logical_cpus), str(round(memory_bytes / 1024**3)), architecture, kernel)
    return Machine(fingerprint(parts), cpu, logical_cpus, memory_bytes, kernel, architecture)


def fingerprint(parts: tuple[str, ...]) -> str:
    """Return 16 hexadecimal digits that stand for `parts`, the properties of a machine."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _cpu_model() -> str:
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"^model name\s*:[ \t]*(\S.*)$", text, re.MULTILINE):
            return " ".join(found[1].split())
    return platform.processor() or platform.machine() or "unknown"


def folder(root: Path, machine: Machine) -> Path:
    """Return the folder for runs of `machine` in the results folder `root`: ``<root>/<cpu>-<fingerprint>``.

    Raises:
        StoreError: the fingerprint is not one, so it must not become part of a path.
    """
    if not re.fullmatch(r"[0-9a-f]{8,64}", machine.fingerprint):
        raise StoreError(f"machine has fingerprint {machine.fingerprint!r}; it must be 8 to 64 hexadecimal digits")
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", " ", machine.cpu.lower())).strip("-")
    return root / f"{slug[:_LONGEST_SLUG].strip('-') or 'unknown'}-{machine.fingerprint[:8]}"
