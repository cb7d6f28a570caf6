"""The ``--duet-*`` options, their ini twins, and the settings they are parsed into, once.

Not for what they select: ``selection`` and ``duet_session`` read the settings.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_duet.analysis import margins
from pytest_duet.errors import SpecError, nearest
from pytest_duet.measure.mode import MODES, Mode
from pytest_duet.measure.pinning import ALLOWED
from pytest_duet.telemetry import gpu

if TYPE_CHECKING:
    from pytest_duet.analysis.margins import Margins

SELECTORS = ("task", "algorithm", "framework", "phase")


@dataclass(frozen=True)
class Settings:
    """What the user asked for. `selected` maps each selector that was used to the names given."""

    selected: dict[str, list[str]]
    profile: str
    mode: Mode
    threads: int
    device: str
    results: Path
    cache: Path
    models: dict[str, Path]
    plan: bool
    strict: bool
    gate: list[Path]
    gate_advisory: bool
    margins: Margins
    allow_missing: list[str]
    explain: str


def add_options(parser: pytest.Parser) -> None:
    """Register every option and its ini twin."""
    group = parser.getgroup("duet", "duet: Rust and Python compared, parity before speed")
    for name in SELECTORS:
        text = f"Only cases of this {name}; may be repeated or hold several names with commas."
        group.addoption(f"--duet-{name}", action="append", metavar="NAME", default=None, help=text)
        parser.addini(f"duet_{name}", text, type="args", default=[])
    text = "How much to run, as profiles.toml says: smoke (default), standard, full."
    group.addoption("--duet-profile", metavar="NAME", default=None, help=text)
    parser.addini("duet_profile", text, default="smoke")
    text = (
        "Where members run while they are timed: direct (default: Python in this process) or paired (fresh processes)."
    )
    group.addoption("--duet-mode", metavar="MODE", default=None, help=text)
    parser.addini("duet_mode", text, default="direct")
    text = "Threads every member may use: a number, or all that this process may use (default: 1)."
    group.addoption("--duet-threads", metavar="N", default=None, help=text)
    parser.addini("duet_threads", text, default="1")
    text = "Where every member computes: cpu (default), cuda, or cuda:N."
    group.addoption("--duet-device", metavar="DEVICE", default=None, help=text)
    parser.addini("duet_device", text, default="cpu")
    text = "Folder of saved runs, one subfolder a machine (default: results)."
    group.addoption("--duet-results", metavar="DIR", default=None, help=text)
    parser.addini("duet_results", text, default="results")
    text = "Folder where data sets are kept (default: .duet)."
    group.addoption("--duet-cache", metavar="DIR", default=None, help=text)
    parser.addini("duet_cache", text, default=".duet")
    text = "Run TASK on the model in folder PATH instead of one that the suite trains; may be repeated."
    group.addoption("--duet-model", action="append", metavar="TASK=PATH", default=None, help=text)
    parser.addini("duet_model", text, type="args", default=[])
    text = "Show what would run, what is unavailable and why, and the estimated time; run nothing."
    group.addoption("--duet-plan", action="store_true", default=None, help=text)
    parser.addini("duet_plan", text, type="bool", default=False)
    text = "Exit with status 13 when a framework that was selected is unavailable."
    group.addoption("--duet-strict", action="store_true", default=None, help=text)
    parser.addini("duet_strict", text, type="bool", default=False)
    _add_gate_options(parser, group)


def _add_gate_options(parser: pytest.Parser, group: pytest.OptionGroup) -> None:
    text = (
        "Hold this run against earlier ones: a file of duet baseline, a saved run or a folder of them; may be repeated."
    )
    group.addoption("--duet-gate", action="append", metavar="BASELINE", default=None, help=text)
    parser.addini("duet_gate", text, type="args", default=[])
    text = "Where the gate cannot decide, say so and exit with 0 instead of 11."
    group.addoption("--duet-gate-advisory", action="store_true", default=None, help=text)
    parser.addini("duet_gate_advisory", text, type="bool", default=False)
    text = "The margin of the cases that PATTERN matches; or mean:5%%, from where on the gate alarms. May be repeated."
    group.addoption("--duet-margin", action="append", metavar="PATTERN=5%", default=None, help=text)
    parser.addini("duet_margin", text, type="args", default=[])
    text = "Cases of the baseline that may be gone; may be repeated."
    group.addoption("--duet-allow-missing", action="append", metavar="PATTERN", default=None, help=text)
    parser.addini("duet_allow_missing", text, type="args", default=[])
    text = "Say below the table how the verdicts and decisions on these cases came about."
    group.addoption("--duet-explain", metavar="PATTERN", default=None, help=text)
    parser.addini("duet_explain", text, default="")


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings: the command line's word, else the ini file's, else the default."""

    def value(name: str) -> object:
        given = config.getoption(f"duet_{name}")
        return config.getini(f"duet_{name}") if given is None else given

    selected = {name: _split(value(name)) for name in SELECTORS}
    return Settings(
        selected={name: names for name, names in selected.items() if names},
        profile=str(value("profile")),
        mode=_mode(str(value("mode"))),
        threads=_threads(str(value("threads"))),
        device=_device(str(value("device"))),
        results=_from_root(config, str(value("results"))),
        cache=_from_root(config, str(value("cache"))),
        models=_models(config),
        plan=bool(value("plan")),
        strict=bool(value("strict")),
        # Not resolved: a link that leads elsewhere is refused when it is read.
        gate=[config.rootpath / Path(name).expanduser() for name in _list(value("gate"))],
        gate_advisory=bool(value("gate_advisory")),
        margins=_margins(_list(value("margin"))),
        allow_missing=_list(value("allow_missing")),
        explain=str(value("explain")),
    )


def _mode(given: str) -> Mode:
    if given not in MODES:
        raise pytest.UsageError(f"--duet-mode: unknown mode {given!r}{nearest(given, MODES)}")
    return MODES[given]


def _list(given: object) -> list[str]:
    return [str(each) for each in given] if isinstance(given, list) else []


def _margins(given: list[str]) -> Margins:
    try:
        return margins.parse(given)
    except SpecError as error:
        raise pytest.UsageError(f"--duet-margin: {error}") from error


def _threads(given: str) -> int:
    available = len(ALLOWED) or os.cpu_count() or 1
    if given == "all":
        return available
    if not given.isdecimal() or not 1 <= int(given) <= available:
        here = "1" if available == 1 else f"a number from 1 to {available}"
        msg = f"--duet-threads: {given!r} is not what this machine can do; write {here}, or all"
        raise pytest.UsageError(msg)
    return int(given)


def _device(given: str) -> str:
    kind, _, number = given.partition(":")
    if given == "cpu":
        return given
    if kind != "cuda" or (number and not number.isdecimal()) or given.endswith(":"):
        raise pytest.UsageError(f"--duet-device: {given!r} is no device; write cpu, cuda or cuda:N")
    try:
        with gpu.device(int(number or 0)):
            return f"cuda:{int(number or 0)}"
    except gpu.GpuUnavailable as error:
        raise pytest.UsageError(
            f"--duet-device: {given} cannot be used: {error}; leave it out to compute on the processor"
        ) from None


def _models(config: pytest.Config) -> dict[str, Path]:
    """Return the folder of each task's model; on the command line paths start where pytest was started, as its own do."""
    given, base = config.getoption("duet_model"), config.invocation_params.dir
    if given is None:
        given, base = config.getini("duet_model"), config.rootpath
    models = {}
    for word in given:
        task, equals, path = word.partition("=")
        if not (task and equals and path):
            raise pytest.UsageError(f"--duet-model: {word!r} names no task and folder; write TASK=PATH")
        if task in models:
            raise pytest.UsageError(f"--duet-model: two models for task {task!r}; name one")
        models[task] = (base / Path(path).expanduser()).resolve()
    return models


def _split(given: object) -> list[str]:
    words = given if isinstance(given, list) else []
    return [name for word in words for name in str(word).split(",") if name]


def _from_root(config: pytest.Config, path: str) -> Path:
    """Relative folders start at the rootdir, so that a session in a subfolder finds the same ones."""
    return (config.rootpath / Path(path).expanduser()).resolve()
