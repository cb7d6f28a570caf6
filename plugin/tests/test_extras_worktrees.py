"""The environment of another commit: this one if the lock files agree, else its own, which is made once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_duet.extras import worktrees
from pytest_duet.extras.worktrees import LOCK, Worktree, WorktreeError, environment, seed_target


def _tree(folder: Path, lock: str | None) -> Worktree:
    folder.mkdir()
    if lock is not None:
        (folder / LOCK.parent).mkdir()
        (folder / LOCK).write_text(lock)
    return Worktree(folder, "main (0123)")


@pytest.mark.parametrize("lock", ["numpy==2.0\n", None])
def test_the_same_lock_file_or_none_uses_this_environment(tmp_path: Path, lock: str | None) -> None:
    head, base = _tree(tmp_path / "head", "numpy==2.0\n"), _tree(tmp_path / "base", lock)

    assert Path(sys.executable) == environment(base, head.root, tmp_path / "cache", print)
    assert not (tmp_path / "cache").exists()


def test_a_different_lock_file_is_installed_once_without_this_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, base = _tree(tmp_path / "head", "numpy==2.1\n"), _tree(tmp_path / "base", "numpy==2.0\n")
    commands: list[list[str]] = []
    said: list[str] = []

    def run(argv: list[str], cwd: Path) -> str:
        assert cwd == base.root
        commands.append(argv)
        Path(argv[-1]).mkdir(parents=True) if "venv" in argv else None
        return ""

    monkeypatch.setattr(worktrees, "_run", run)
    python = environment(base, head.root, tmp_path / "cache", said.append)
    again = environment(base, head.root, tmp_path / "cache", said.append)

    assert python == again
    assert python.is_relative_to(tmp_path / "cache")
    made, filled = commands
    assert made[1:3] == ["-m", "venv"]
    assert filled[0] == str(python)
    assert {"--no-deps", "--require-hashes", str(LOCK)} <= set(filled)
    assert len(said) == 1


def test_a_failed_installation_is_not_reused(tmp_path: Path) -> None:
    head, base = _tree(tmp_path / "head", ""), _tree(tmp_path / "base", "no hash of this\n")

    for _ in range(2):
        with pytest.raises(WorktreeError, match="fix that and try again"):
            environment(base, head.root, tmp_path / "cache", print)


def test_a_target_folder_gets_its_name_only_once_it_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, source = _tree(tmp_path / "base", None), tmp_path / "target"
    source.mkdir()
    named: dict[str, bool] = {}

    def run(argv: list[str], cwd: Path) -> str:
        named[" ".join(argv[:2])] = (cwd / "target").exists()
        if argv[0] == "cp":
            Path(argv[-1]).mkdir()
        return '{"packages": [{"name": "ours"}]}'

    monkeypatch.setattr(worktrees, "_run", run)
    seed_target(base, source, print)

    assert {"cp -a": False, "cargo metadata": False, "cargo clean": False} == named
    assert (base.root / "target").is_dir()
