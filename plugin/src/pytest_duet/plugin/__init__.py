"""The pytest plugin: hooks and fixtures.

Every pytest run imports this module, so its top level imports only pytest, the standard library, and modules of ours
that do the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.exit_status import Exit
from pytest_duet.plugin import items, options
from pytest_duet.plugin.items import bench_item_of
from pytest_duet.plugin.signals import STOPPED, end_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pytest_duet.plugin.items import BenchItem
    from pytest_duet.plugin.pytest_session import PytestSession

_SESSION = pytest.StashKey["PytestSession"]()
_CALLED = pytest.StashKey[bool]()
_SETTINGS = pytest.StashKey[options.Settings]()
_DESELECTED = pytest.StashKey[list["BenchItem"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register ``--duet-*`` and their ini twins."""
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, once."""
    config.stash[_SETTINGS] = options.read_settings(config)


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Create one item per member; last, so that the id ends with the member's name."""
    items.parametrize(metafunc, metafunc.config.stash[_SETTINGS].profile)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Attach its bench item to each collected item of ours."""
    items.assign(item)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember the cases that the user deselected: the gate does not count them as missing."""
    for item in items:
        if bench_item := bench_item_of(item):
            item.config.stash.setdefault(_DESELECTED, []).append(bench_item)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Apply the exact selectors, and plan the session from the items that are left."""
    from pytest_duet.plugin import selection

    settings = config.stash[_SETTINGS]
    ours = [(item, bench_item) for item in items if (bench_item := bench_item_of(item))]
    if not ours:
        selection.check_names(settings, config.rootpath, [])
        if config.option.duet_gate and not config.option.collectonly and not session.testsfailed:
            pytest.exit("--duet-gate: no benchmark of pytest-duet was selected", returncode=Exit.CANNOT_DECIDE)
        return
    selection.refuse_conflicts(settings, config)
    dropped = selection.deselect(settings, config.rootpath, [item for item, _ in ours])
    if dropped:
        config.hook.pytest_deselected(items=[item for item in items if item in dropped])
        items[:] = [item for item in items if item not in dropped]
    if not config.option.collectonly:
        config.stash[_SESSION] = duet_session = _make_session(session, items)
        config.add_cleanup(duet_session.close)
        end_in_order(config)


def _make_session(session: pytest.Session, items: list[pytest.Item]) -> PytestSession:
    from pytest_duet.errors import DuetError, StoreError, Undecidable
    from pytest_duet.plugin.progress import Progress
    from pytest_duet.plugin.pytest_session import PytestSession

    config = session.config
    timed = not any(config.getoption(f"benchmark_{name}", default=False) for name in ("disable", "skip"))
    duet_session = PytestSession(config.stash[_SETTINGS], config.rootpath, timed=timed, progress=Progress(config))
    try:
        duet_session.plan([bench_item for item in items if (bench_item := bench_item_of(item))])
    except StoreError as error:
        pytest.exit(str(error), returncode=Exit.STORAGE_FAILED)
    except Undecidable as error:
        pytest.exit(str(error), returncode=Exit.CANNOT_DECIDE)
    except DuetError as error:
        raise pytest.UsageError(str(error)) from error
    return duet_session


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With ``--duet-plan``, print the plan instead of running it."""
    if not session.config.stash[_SETTINGS].plan:
        return None
    from pytest_duet.plugin import plan_view

    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    duet_session = session.config.stash.get(_SESSION, None)
    if duet_session is not None and reporter is not None:
        for line in plan_view.lines(duet_session):
            reporter.write_line(line)
    return True


@pytest.fixture
def duet_group(request: pytest.FixtureRequest) -> str:
    """Return the group of the current case, ``algorithm-phase-workload``; empty for an inline group."""
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
    """Measure the members of this benchmark; call it once, with the inputs if there are any."""
    bench_item = bench_item_of(request.node)
    if bench_item is None:
        pytest.fail("the fixture 'duet' needs a benchmark declared with @cases or @compare", pytrace=False)
    if not hasattr(benchmark, "disabled"):
        pytest.fail(
            f"the fixture 'benchmark' is a {type(benchmark).__name__}, not pytest-benchmark's; disable the other plugin"
        )
    duet_session = request.config.stash[_SESSION]
    # A rerun of the item starts again; what was measured is replayed.
    request.node.stash[_CALLED] = False

    if hasattr(request.config, "workerinput") and duet_session.timed:
        pytest.fail(
            "times that are measured in parallel mean nothing; run without -n, or with --benchmark-disable",
            pytrace=False,
        )

    def call(*args: Any, **kwargs: Any) -> None:
        if request.node.stash[_CALLED]:
            pytest.fail("duet(...) was already called in this benchmark; call it once", pytrace=False)
        request.node.stash[_CALLED] = True
        # A test that is interrupted before its replay would otherwise be reported as not using pytest-benchmark's fixture.
        benchmark.skipped = True
        duet_session.play(bench_item, benchmark, args, kwargs)

    return call


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a benchmark whose body passed without measuring anything."""
    result = yield
    duet_session = item.config.stash.get(_SESSION, None)
    if duet_session is not None and bench_item_of(item) and not item.stash.get(_CALLED, False):
        pytest.fail("the body never called duet(...); call it once", pytrace=False)
    return result


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: object) -> bool | None:  # noqa: ARG001 - the hook's signature
    """Disable pytest-timeout for our items: the first one measures the whole group, and every request has a deadline."""
    return True if bench_item_of(item) else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report each item's share of the group's time; otherwise the first item would show all of it."""
    report = yield
    duet_session = item.config.stash.get(_SESSION, None)
    bench_item = bench_item_of(item)
    if duet_session is None or bench_item is None:
        return report
    duet_session.end(bench_item, report)
    if call.when == "call":
        report.duration = duet_session.seconds_of(bench_item) or report.duration
        if report.failed and "benchmark" in item.funcargs:  # type: ignore[attr-defined]  # our items are functions
            # As above: a test that fails before its replay does use the fixture.
            item.funcargs["benchmark"].skipped = True  # type: ignore[attr-defined]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Save the run, let the gate decide, and set the exit status where ours takes precedence over pytest's."""
    duet_session = session.config.stash.get(_SESSION, None)
    if duet_session is None or duet_session.settings.plan or session.config.getoption("benchmark_skip", default=False):
        return
    duet_session.finish()
    narrowed = any("::" in str(given) for given in session.config.args)
    deselected: list[BenchItem] = session.config.stash.get(_DESELECTED, [])
    duet_session.judge(deselected, narrowed=narrowed)
    if duet_session.interrupted:
        session.exitstatus = exitstatus = pytest.ExitCode.INTERRUPTED
    if duet_session.gate is not None:
        from pytest_duet.plugin import gating

        gating.report(session.config, session, duet_session.gate)
    if exitstatus == pytest.ExitCode.INTERRUPTED and STOPPED in session.config.stash:
        session.exitstatus = 128 + session.config.stash[STOPPED]
    if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = duet_session.status() or exitstatus


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Print the verdict table below pytest-benchmark's tables, or a hint on configuration if nothing was collected."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        for line in items.hint(config):
            terminalreporter.write_line(line)
    duet_session = config.stash.get(_SESSION, None)
    if duet_session is None or duet_session.run is None:
        return
    from pytest_duet.plugin import summary

    summary.write(terminalreporter, duet_session)
