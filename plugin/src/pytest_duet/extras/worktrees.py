"""Check out another commit of a project, with its own Rust workers and Python environment.

Each has its own folder in the cache, named after its content, and shares nothing with the working tree.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_duet.digests import file_digest
from pytest_duet.errors import DuetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOCK: Final = Path("requirements/lock.txt")
_SHORT: Final = 12


class WorktreeError(DuetError):
    """A commit cannot be checked out, or what it needs cannot be built."""


@dataclass(frozen=True)
class Worktree:
    """A checked-out project: its folder, and its name in messages."""

    root: Path
    name: str


def repository(folder: Path) -> Path:
    """Return the root of the git repository that contains `folder`.

    Raises:
        WorktreeError: there is none.
    """
    return Path(_git(folder, "rev-parse", "--show-toplevel", remedy="run it inside a git repository"))


def check_out(root: Path, revision: str, cache: Path) -> Worktree:
    """Return a checkout of `revision` of the repository `root`, in a folder of `cache` named after its commit.

    Raises:
        WorktreeError: there is no such revision, or git cannot check it out.
    """
    remedy = "name a branch, a tag or a commit"
    commit = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", remedy=remedy, what=revision)
    folder = cache / commit[:_SHORT]
    tree = Worktree(folder, f"{revision} ({commit[:_SHORT]})")
    if (folder / ".git").exists():
        # Undo whatever happened there since.
        _git(folder, "reset", "--hard", "--quiet", commit, remedy=f"remove {folder}")
        _git(folder, "clean", "-ffdq", remedy=f"remove {folder}")
        return tree
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    _git(root, "worktree", "prune", remedy="repair the repository")
    _git(root, "worktree", "add", "--detach", "--force", str(folder), commit, remedy=f"remove {folder}")
    return tree


def seed_target(tree: Worktree, source: Path, say: Callable[[str], None]) -> None:
    """Give `tree` its own target folder: a copy of `source` without the crates of the workspace.

    The compiled dependencies are kept, and no crate of the working tree can be mistaken for one of the commit.

    Raises:
        WorktreeError: it cannot be copied or cleaned.
    """
    target = tree.root / "target"
    if target.exists() or not source.is_dir():
        return
    say(f"{tree.name}: copying the compiled dependencies")
    making = tree.root / ".target"
    shutil.rmtree(making, ignore_errors=True)
    # Keep the times, by which cargo decides what to rebuild.
    _run(["cp", "-a", "--reflink=auto", str(source), str(making)], tree.root)
    shared = ["--offline", "--manifest-path", "rust_crates/Cargo.toml"]
    metadata = _run(["cargo", "metadata", "--no-deps", "--format-version", "1", *shared], tree.root)
    ours = [argument for package in json.loads(metadata)["packages"] for argument in ("-p", package["name"])]
    _run(["cargo", "clean", "--release", *shared, "--target-dir", str(making), *ours], tree.root)
    # Only a clean folder gets the name that cargo looks for.
    making.rename(target)


def environment(tree: Worktree, head: Path, cache: Path, say: Callable[[str], None]) -> Path:
    """Return the interpreter for the Python implementations of `tree`: this one, unless its lock file differs.

    Raises:
        WorktreeError: its locked packages cannot be installed.
    """
    locked = file_digest(tree.root / LOCK)
    if not locked or locked == file_digest(head / LOCK):
        return Path(sys.executable)
    folder = cache / f"python-{locked[:_SHORT]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        say(f"{tree.name}: {LOCK} differs from ours; installing its packages")
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], tree.root)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        _run([str(python), *install, "-r", str(LOCK)], tree.root)
        (folder / "complete").touch()
    return python


def _git(folder: Path, *arguments: str, remedy: str, what: str = "") -> str:
    # Ignore another repository that a hook or a caller set for git.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = _finished(["git", "-C", str(folder), *arguments], env=plain)
    if done.returncode:
        said = done.stderr.strip().removeprefix("fatal: ") or f"git knows no {what}"
        raise WorktreeError(f"{what or folder}: {said}; {remedy}")
    return done.stdout.strip()


def _run(argv: Sequence[str], cwd: Path) -> str:
    done = _finished(argv, cwd=cwd)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise WorktreeError(f"{' '.join(argv[:3])} failed in {cwd}:\n{said}\nfix that and try again")
    return done.stdout


def _finished(argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False, **options)
    except FileNotFoundError:
        raise WorktreeError(f"{argv[0]} is not on PATH; install it and try again") from None
