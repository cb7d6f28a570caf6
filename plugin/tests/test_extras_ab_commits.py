"""The conditions under which one Rust worker serves both sides of ``duet ab``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_duet.extras.ab_commits import _built_from
from pytest_duet.spec.group import LaunchSpec

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "file",
    [
        "rust_crates/x/src/main.rs",
        "rust_crates/Cargo.lock",
        "rust_crates/Cargo.toml",
        ".cargo/config.toml",
        "rust-toolchain.toml",
    ],
)
def test_a_change_of_anything_a_worker_is_built_from_is_noticed(tmp_path: Path, file: str) -> None:
    crate = tmp_path / "rust_crates" / "x"
    (crate / "src").mkdir(parents=True)
    (tmp_path / ".cargo").mkdir()
    how = LaunchSpec("process", argv=("x",), sources=(str(crate),))
    before = _built_from(tmp_path, how)

    (tmp_path / file).write_text("opt-level = 1\n")

    assert before != _built_from(tmp_path, how)
