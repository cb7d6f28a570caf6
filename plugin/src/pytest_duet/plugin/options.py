"""The ``--duet-*`` options, their ini twins, and the settings that they are parsed into, once.

To add an option, add a field to `Settings`, with a function that reads its value if it is more than a string.
"""
# ruff: noqa: RUF009 - `_option` and its like return `dataclasses.field(...)`

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from pytest_duet.analysis import margins
from pytest_duet.defaults import CACHE, PROFILE, RESULTS
from pytest_duet.errors import SpecError, nearest
from pytest_duet.measure.mode import MODES, Mode
from pytest_duet.measure.pinning import ALLOWED
from pytest_duet.telemetry import gpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_duet.analysis.margins import Margins

SELECTORS: Final = ("task", "algorithm", "framework", "phase")

Kind = Literal["string", "args", "bool"]


@dataclass(frozen=True)
class _Origin:
    """Where a value was given: `root` is pytest's rootdir, `base` the folder that paths of the user start from."""

    root: Path
    base: Path


def _mode(given: str, _origin: _Origin) -> Mode:
    if given not in MODES:
        raise SpecError(f"unknown mode {given!r}{nearest(given, MODES)}")
    return MODES[given]


def _names(given: list[str], _origin: _Origin) -> list[str]:
    return [name for word in given for name in word.split(",") if name]


def _threads(given: str, _origin: _Origin) -> int:
    available = len(ALLOWED) or os.cpu_count() or 1
    if given == "all":
        return available
    if not given.isdecimal() or not 1 <= int(given) <= available:
        here = "1" if available == 1 else f"a number from 1 to {available}"
        raise SpecError(f"{given!r} is not what this machine can do; write {here}, or all")
    return int(given)


def _device(given: str, _origin: _Origin) -> str:
    kind, _, number = given.partition(":")
    if given == "cpu":
        return given
    if kind != "cuda" or (number and not number.isdecimal()) or given.endswith(":"):
        raise SpecError(f"{given!r} is no device; write cpu, cuda or cuda:N")
    try:
        with gpu.device(int(number or 0)):
            return f"cuda:{int(number or 0)}"
    except gpu.GpuUnavailable as error:
        raise SpecError(f"{given} cannot be used: {error}; leave it out to compute on the CPU") from None


def _models(given: list[str], origin: _Origin) -> dict[str, Path]:
    models: dict[str, Path] = {}
    for word in given:
        task, equals, path = word.partition("=")
        if not (task and equals and path):
            raise SpecError(f"{word!r} names no task and folder; write TASK=PATH")
        if task in models:
            raise SpecError(f"two models for task {task!r}; name one")
        models[task] = (origin.base / Path(path).expanduser()).resolve()
    return models


def _folder(given: str, origin: _Origin) -> Path:
    """Return a folder below the rootdir, so that a session started in a subfolder uses the same one."""
    return (origin.root / Path(given).expanduser()).resolve()


def _baselines(given: list[str], origin: _Origin) -> list[Path]:
    # Not resolved: a link to another folder is refused when it is read.
    return [origin.root / Path(name).expanduser() for name in given]


@dataclass(frozen=True)
class _Option:
    """One ``--duet-*`` option with its ini twin; `read` turns a value of either into that of its setting."""

    help: str
    metavar: str = ""
    default: Any = ""
    kind: Kind = "string"
    read: Callable[[Any, _Origin], Any] = lambda given, _: given
    name: str = ""


def _option(*args: Any, **kwargs: Any) -> Any:
    return dataclasses.field(metadata={"option": _Option(*args, **kwargs)})


_repeated: Final = partial(_option, default=[], kind="args")
_flag: Final = partial(_option, default=False, kind="bool")


def _selector(what: str) -> Any:
    return _repeated(
        f"Only cases of this {what}; may be repeated or hold several names with commas.", "NAME", read=_names
    )


@dataclass(frozen=True)
class Settings:
    """What the user asked for: one field for each option, in the order of ``--help``."""

    task: list[str] = _selector("task")
    algorithm: list[str] = _selector("algorithm")
    framework: list[str] = _selector("framework")
    phase: list[str] = _selector("phase")
    profile: str = _option(
        f"How much to run, as profiles.toml says: {PROFILE} (default), standard, full.", "NAME", PROFILE
    )
    mode: Mode = _option(
        "Where members run while they are timed: direct (default: Python in this process) or paired (fresh processes).",
        "MODE",
        "direct",
        read=_mode,
    )
    threads: int = _option(
        "Threads every member may use: a number, or all that this process may use (default: 1).",
        "N",
        "1",
        read=_threads,
    )
    device: str = _option("Where every member computes: cpu (default), cuda, or cuda:N.", "DEVICE", "cpu", read=_device)
    results: Path = _option(
        f"Folder of saved runs, one subfolder a machine (default: {RESULTS}).", "DIR", RESULTS, read=_folder
    )
    cache: Path = _option(f"Folder where data sets are kept (default: {CACHE}).", "DIR", CACHE, read=_folder)
    models: dict[str, Path] = _repeated(
        "Run TASK on the model in folder PATH instead of one that the suite trains; may be repeated.",
        "TASK=PATH",
        read=_models,
        name="model",
    )
    plan: bool = _flag("Show what would run, what is unavailable and why, and the estimated time; run nothing.")
    strict: bool = _flag("Exit with status 13 when a framework that was selected is unavailable.")
    gate: list[Path] = _repeated(
        "Compare this run with earlier ones: a file of duet baseline, a saved run or a folder of them; may be repeated.",
        "BASELINE",
        read=_baselines,
    )
    gate_advisory: bool = _flag("Where the gate cannot decide, say so and exit with 0 instead of 11.")
    margins: Margins = _repeated(
        "The margin of the cases that PATTERN matches; or mean:5%, the slowdown above which the gate alarms. "
        "May be repeated.",
        "PATTERN=5%",
        read=lambda given, _: margins.parse(given),
        name="margin",
    )
    allow_missing: list[str] = _repeated("Cases of the baseline that may be missing; may be repeated.", "PATTERN")
    explain: str = _option(
        "Explain below the table how the verdicts and decisions on these cases came about.", "PATTERN"
    )

    @property
    def selected(self) -> dict[str, list[str]]:
        """The names given for each selector that was used."""
        return {name: names for name in SELECTORS if (names := getattr(self, name))}


def _options() -> Iterator[tuple[str, str, _Option]]:
    """Yield the field of `Settings`, the name and the description of every option."""
    for field in dataclasses.fields(Settings):
        option: _Option = field.metadata["option"]
        yield field.name, option.name or field.name, option


def add_options(parser: pytest.Parser) -> None:
    """Register every option and its ini twin."""
    group = parser.getgroup("duet", "duet: Rust and Python compared, parity before speed")
    actions: dict[Kind, str] = {"string": "store", "args": "append", "bool": "store_true"}
    for _, name, option in _options():
        metavar = {"metavar": option.metavar} if option.metavar else {}
        flag = f"--duet-{name.replace('_', '-')}"
        help_text = option.help.replace("%", "%%")
        group.addoption(flag, action=actions[option.kind], default=None, help=help_text, **metavar)
        parser.addini(f"duet_{name}", option.help, type=option.kind, default=option.default)


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings: from the command line, else from the ini file, else the default.

    Raises:
        pytest.UsageError: a value cannot be used.
    """
    values = {}
    for field, name, option in _options():
        given = config.getoption(f"duet_{name}")
        # As for pytest itself, paths of the command line start where it was started, those of the ini file at the rootdir.
        base = config.rootpath if given is None else config.invocation_params.dir
        value = config.getini(f"duet_{name}") if given is None else given
        try:
            values[field] = option.read(value, _Origin(config.rootpath, base))
        except SpecError as error:
            raise pytest.UsageError(f"--duet-{name.replace('_', '-')}: {error}") from error
    return Settings(**values)
