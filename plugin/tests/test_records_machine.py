"""The machine of a session and the folder of its runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_duet.errors import StoreError
from pytest_duet.records.machine import folder, this_machine

from .samples import MACHINE

if TYPE_CHECKING:
    from pathlib import Path


def test_the_machine_holds_no_host_name() -> None:
    machine = this_machine()
    text = msgspec.json.encode(machine).decode()
    assert os.uname().nodename not in text
    assert machine == this_machine()
    assert machine.logical_cpus >= 1


@pytest.mark.parametrize("fingerprint", ["../../etc", "", "0123", "ABCDEF0123456789"])
def test_an_invalid_fingerprint_never_becomes_a_path(fingerprint: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must be 8 to 64 hexadecimal digits"):
        folder(tmp_path, msgspec.structs.replace(MACHINE, fingerprint=fingerprint))


def test_a_cpu_with_a_hostile_name_gives_a_harmless_folder(tmp_path: Path) -> None:
    machine = msgspec.structs.replace(MACHINE, cpu="../..\x1b[31m/Evil(TM) \u202e" + "x" * 300)
    assert folder(tmp_path, machine).parent == tmp_path
    assert folder(tmp_path, machine).name.startswith("31m-evil-xxx")
