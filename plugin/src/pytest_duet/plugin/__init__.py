"""The pytest plugin: hooks and fixtures, each a few lines that call the module that knows.

Not for anything that could be said without pytest. Every pytest run of every user imports this module, so its top level
imports pytest and the standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.plugin import options, slots
from pytest_duet.plugin.signals import STOPPED, end_in_order
from pytest_duet.plugin.slots import slot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pytest_duet.plugin.conductor import Conductor
    from pytest_duet.plugin.slots import Slot

_CONDUCTOR = pytest.StashKey["Conductor"]()
_CALLED = pytest.StashKey[bool]()
_SETTINGS = pytest.StashKey[options.Settings]()

_DESELECTED = pytest.StashKey[list["Slot"]]()

STORAGE_FAILED = 14
CANNOT_DECIDE = 11


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register ``--duet-*`` and their ini twins."""
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, once."""
    config.stash[_SETTINGS] = options.read_settings(config)


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item per member; last, so that a member's name ends the id."""
    slots.parametrize(metafunc, metafunc.config.stash[_SETTINGS].profile)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Find out which member of which group an item is."""
    slots.assign(item)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember which cases the user left out: the gate does not miss them."""
    for item in items:
        if slot := slot_of(item):
            item.config.stash.setdefault(_DESELECTED, []).append(slot)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what the exact selectors name, and plan the session from what every selection has left."""
    from pytest_duet.plugin import selection

    settings = config.stash[_SETTINGS]
    ours = [(item, slot) for item in items if (slot := slot_of(item))]
    if not ours:
        selection.check_unused(settings, config.rootpath)
        if config.option.duet_gate and not config.option.collectonly and not session.testsfailed:
            pytest.exit("--duet-gate: no benchmark of pytest-duet was selected", returncode=CANNOT_DECIDE)
        return
    selection.refuse_conflicts(settings, config)
    dropped = selection.deselect(settings, config.rootpath, [item for item, _ in ours])
    if dropped:
        config.hook.pytest_deselected(items=[item for item in items if item in dropped])
        items[:] = [item for item in items if item not in dropped]
    if not config.option.collectonly:
        config.stash[_CONDUCTOR] = conductor = _conductor(session, items)
        config.add_cleanup(conductor.close)
        end_in_order(config)


def _conductor(session: pytest.Session, items: list[pytest.Item]) -> Conductor:
    from pytest_duet.errors import DuetError, StoreError, Undecidable
    from pytest_duet.plugin.conductor import Conductor
    from pytest_duet.plugin.progress import Progress

    config = session.config
    timed = not (
        config.getoption("benchmark_disable", default=False) or config.getoption("benchmark_skip", default=False)
    )
    conductor = Conductor(config.stash[_SETTINGS], config.rootpath, timed=timed, progress=Progress(config))
    try:
        conductor.plan([slot for item in items if (slot := slot_of(item))])
    except StoreError as error:
        pytest.exit(str(error), returncode=STORAGE_FAILED)
    except Undecidable as error:
        pytest.exit(str(error), returncode=CANNOT_DECIDE)
    except DuetError as error:
        raise pytest.UsageError(str(error)) from error
    return conductor


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With ``--duet-plan``, show the plan instead of running it."""
    if not session.config.stash[_SETTINGS].plan:
        return None
    from pytest_duet.plugin import plan_view

    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    conductor = session.config.stash.get(_CONDUCTOR, None)
    if conductor is not None and reporter is not None:
        for line in plan_view.lines(conductor):
            reporter.write_line(line)
    return True


@pytest.fixture
def duet_group(request: pytest.FixtureRequest) -> str:
    """Return the group of the current case, ``algorithm-phase-workload``; empty for a pair declared in code."""
    return str(getattr(request, "param", ""))


@pytest.fixture
def duet_member(request: pytest.FixtureRequest) -> str:
    """Return the name of the current case's member."""
    return str(getattr(request, "param", ""))


@pytest.fixture
def duet(
    request: pytest.FixtureRequest,
    benchmark: Any,
    duet_group: str,  # noqa: ARG001 - requested so that items can be parametrised with it
    duet_member: str,  # noqa: ARG001 - likewise
) -> Callable[..., None]:
    """Measure the members of this benchmark against each other; call it once, with the inputs if there are any."""
    slot = slot_of(request.node)
    if slot is None:
        pytest.fail("the fixture 'duet' needs a benchmark declared with @cases or @compare", pytrace=False)
    if not hasattr(benchmark, "disabled"):
        pytest.fail(
            f"the fixture 'benchmark' is a {type(benchmark).__name__}, not pytest-benchmark's; disable the other plugin"
        )
    conductor = request.config.stash[_CONDUCTOR]
    # A rerun of the item starts anew; what was measured is replayed.
    request.node.stash[_CALLED] = False

    if hasattr(request.config, "workerinput") and conductor.timed:
        pytest.fail("times taken side by side mean nothing: run without -n, or with --benchmark-disable", pytrace=False)

    def call(*args: Any, **kwargs: Any) -> None:
        if request.node.stash[_CALLED]:
            pytest.fail("duet(...) was called before in this benchmark; call it once", pytrace=False)
        request.node.stash[_CALLED] = True
        # One that is interrupted before its replay did not forget pytest-benchmark's fixture; spare the user that warning.
        benchmark.skipped = True
        conductor.play(slot, benchmark, args, kwargs)

    return call


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a benchmark whose body ended well without measuring anything."""
    result = yield
    conductor = item.config.stash.get(_CONDUCTOR, None)
    if conductor is not None and slot_of(item) and not item.stash.get(_CALLED, False):
        pytest.fail("the body never called duet(...); call it once", pytrace=False)
    return result


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: object) -> bool | None:  # noqa: ARG001 - the hook's signature
    """Keep pytest-timeout from charging a whole group to its first item: every request has its own deadline."""
    return True if slot_of(item) else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show each item its own share of the group's time; the first one would show all of it."""
    report = yield
    conductor = item.config.stash.get(_CONDUCTOR, None)
    slot = slot_of(item)
    if conductor is None or slot is None:
        return report
    conductor.end(slot, report)
    if call.when == "call":
        seconds = conductor.seconds_of(slot)
        if seconds is not None:
            report.duration = seconds
        if report.failed and "benchmark" in item.funcargs:  # type: ignore[attr-defined]  # our items are functions
            # A member that failed before its replay did not forget the fixture; spare the user that warning.
            item.funcargs["benchmark"].skipped = True  # type: ignore[attr-defined]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Judge, save, and set the exit status where ours outranks pytest's."""
    conductor = session.config.stash.get(_CONDUCTOR, None)
    if conductor is None or conductor.settings.plan or session.config.getoption("benchmark_skip", default=False):
        return
    conductor.finish()
    narrowed = any("::" in str(given) for given in session.config.args)
    deselected: list[Slot] = session.config.stash.get(_DESELECTED, [])
    conductor.judge(deselected, narrowed=narrowed)
    if conductor.interrupted:
        session.exitstatus = exitstatus = pytest.ExitCode.INTERRUPTED
    if conductor.gate is not None:
        from pytest_duet.plugin import gating

        gating.report(session.config, session, conductor.gate)
    if exitstatus == pytest.ExitCode.INTERRUPTED and STOPPED in session.config.stash:
        session.exitstatus = 128 + session.config.stash[STOPPED]
    if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        status = conductor.status()
        session.exitstatus = status or exitstatus


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Print the verdict table, below pytest-benchmark's own tables; where nothing was collected, say what is missing."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        for line in slots.hint(config):
            terminalreporter.write_line(line)
    conductor = config.stash.get(_CONDUCTOR, None)
    if conductor is None or conductor.run is None:
        return
    from pytest_duet.plugin import summary

    summary.write(terminalreporter, conductor)
