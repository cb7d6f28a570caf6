"""``duet ab --cmd``: compare two worker commands of a user on one job."""

from __future__ import annotations

import json
import shlex
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_duet.binding.bind import bind
from pytest_duet.binding.datasets import obtain
from pytest_duet.defaults import DATA_CACHE
from pytest_duet.digests import arrays_digest
from pytest_duet.errors import SpecError, StoreError
from pytest_duet.extras.ab_pair import launched_pair
from pytest_duet.records.files import read_regular
from pytest_duet.spec.group import LaunchSpec
from pytest_duet.spec.launch import thread_environment
from pytest_duet.spec.schema import Profile

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.ids import GroupKey


def of_commands(
    commands: tuple[str, str], key: GroupKey, params: Iterable[str], arrays: Iterable[str], profile: str
) -> BoundGroup:
    """Return the group that compares two worker commands on job `key` with `params` and `arrays`.

    Raises:
        SpecError: the job, a command or a data file cannot be used.
        DataError: an array has a type that workers cannot read, or cannot be cached.
    """
    if not key.task:
        raise SpecError("--cmd needs --task, the task of the job")
    given = {name: _scalar(value) for name, value in (_named(each, "--param") for each in params)}
    files = {name: _array(path) for name, path in (_named(each, "--data") for each in arrays)}
    cache, digest = Path(DATA_CACHE), arrays_digest(files)
    obtain(cache, digest, lambda: files)
    launches = [LaunchSpec("process", argv=_argv(each), environment=thread_environment(1)) for each in commands]
    spec = launched_pair(key, launches, "rust", given, digest, case=key.task, budget=Profile(), profile=profile)
    return bind(spec, Path("benches"), cache)


def _argv(command: str) -> tuple[str, ...]:
    try:
        argv = tuple(shlex.split(command))
    except ValueError as error:
        raise SpecError(f"--cmd: {command!r} cannot be read ({error}); quote it as for a shell") from error
    if not any(argv[:1]):
        raise SpecError(f"--cmd: {command!r} is empty; give two commands that start workers")
    return argv


def _named(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise SpecError(f"{option}: {text!r} is not NAME=VALUE")
    return name, value


def _scalar(text: str) -> bool | int | float | str:
    """Return a boolean or a number written as in JSON, else the string itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _array(path: str) -> npt.NDArray[np.generic]:
    from numpy.lib import format as npy

    try:
        array: npt.NDArray[np.generic] = npy.read_array(BytesIO(read_regular(Path(path))), allow_pickle=False)
    except StoreError as error:
        raise SpecError(f"--data: {error}") from error
    except Exception as error:
        # For a damaged header, numpy raises whatever its parser raises.
        raise SpecError(f"--data: {path} cannot be read ({error}); give a .npy file of numbers") from error
    return array
