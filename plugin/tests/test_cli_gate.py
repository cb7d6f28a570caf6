"""The commands over saved runs: gate, compare, baseline and history, with their exit statuses and messages."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner, Result

from pytest_duet.cli import main
from pytest_duet.records import baselines, machine, store

from .samples import MACHINE, cells, group, member, reference, run, without_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from pytest_duet.records.schema import RunRecord

NOISE = [0.011, -0.008, 0.003, -0.012, 0.006, 0.0, -0.004, 0.009, -0.01, 0.007, 0.002, -0.006]


def a_run(factor: float = 1.0, day: int = 1, **changes: object) -> RunRecord:
    """Return a run whose rival takes `factor` times as long as usual, with the machine's noise of that day."""
    noise = 1 + NOISE[day % len(NOISE)]
    members = [reference(cells=cells(1e6 * noise)), member("native", cells=cells(5e5 * noise * factor))]
    extra = [without_numbers("linfa", "skipped", "unsound", reproducer="x")]
    return run(group(*members, *extra), created=f"2026-01-{day:02}", **changes)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "this_machine", lambda: MACHINE)
    return tmp_path


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each of twelve days, and the baseline saved from them."""
    folder = tmp_path_factory.mktemp("twelve")
    for day in range(1, 13):
        store.save(a_run(day=day), folder / "before")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(machine, "this_machine", lambda: MACHINE)
        assert invoke("baseline", folder / "before", "--into", folder / "main.json").exit_code == 0
    return folder


@pytest.fixture
def before(root: Path, twelve: Path) -> Path:
    shutil.copytree(twelve, root, dirs_exist_ok=True)
    return root / "main.json"


def head(root: Path, factor: float = 1.0, day: int = 20, **changes: object) -> Path:
    return store.save(a_run(factor, day, **changes), root / "now")


def invoke(*arguments: object) -> Result:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], terminal_width=100)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


@pytest.mark.parametrize(("factor", "twice", "status"), [(1.0, 0, 0), (0.7, 0, 0), (1.3, 0, 11), (1.3, 1, 10)])
def test_the_status_follows_from_how_the_run_changed(
    root: Path, before: Path, factor: float, twice: int, status: int
) -> None:
    runs = [head(root, factor, day) for day in (20, 22)][: 1 + twice]
    assert status == invoke("gate", *runs, "--baseline", before).exit_code


def test_a_second_run_without_alarm_clears_the_first(root: Path, before: Path) -> None:
    assert invoke("gate", head(root, 1.3), head(root, 1.0, 22), "--baseline", before).exit_code == 0


def test_the_same_run_twice_confirms_nothing(root: Path, before: Path) -> None:
    slow = head(root, 1.3)
    done = invoke("gate", slow, slow, "--baseline", before)
    assert (done.exit_code, "is the same run, which" in done.stderr) == (11, True)


def test_a_results_folder_is_a_baseline_without_the_run_itself(root: Path, before: Path) -> None:
    slow = store.save(a_run(1.3, 20), root / "before")
    done = invoke("gate", slow, "--baseline", root / "before", "--explain", "*/native")
    assert done.exit_code == 11
    assert "units: 12 runs" in done.stdout


def test_patterns_that_match_nothing_are_reported(root: Path, before: Path) -> None:
    slips = ["--margin", "regresion/*=90%", "--allow-missing", "typo*"]
    done = invoke("gate", head(root), "--baseline", before, *slips)
    assert done.exit_code == 0
    margin, missing = done.stderr.splitlines()
    assert margin.startswith("--margin: no case is called 'regresion/*'; ")
    assert missing.startswith("--allow-missing: no case is called 'typo*'; ")


@pytest.mark.parametrize(("advisory", "status"), [((), 11), (("--advisory",), 0)])
def test_an_unreadable_baseline_is_reported_and_an_advisory_gate_passes(
    root: Path, advisory: tuple[str, ...], status: int
) -> None:
    done = invoke("gate", head(root), "--baseline", root / "none.json", *advisory)
    assert (done.exit_code, "there is no such file" in done.stderr) == (status, True)


def test_a_run_alone_is_not_its_own_baseline(root: Path) -> None:
    path = head(root)
    done = invoke("gate", path, "--baseline", path)
    assert (done.exit_code, "holds no run but the one to compare" in done.stderr) == (11, True)


def test_the_gate_shows_the_cases_that_did_not_pass(root: Path, before: Path, snapshot: SnapshotAssertion) -> None:
    assert snapshot == invoke("gate", head(root, 1.3), head(root, 1.28, 22), "--baseline", before).stdout


def test_compare_shows_every_case(root: Path, before: Path, snapshot: SnapshotAssertion) -> None:
    done = invoke("compare", before, head(root, 1.3))
    assert done.exit_code == 11
    assert snapshot == done.stdout


def test_two_runs_show_two_numbers_and_decide_nothing(root: Path, snapshot: SnapshotAssertion) -> None:
    one = store.save(a_run(day=2), root / "before")
    done = invoke("compare", one, head(root, 1.3))
    assert done.exit_code == 11
    assert snapshot == done.stdout
    assert invoke("compare", one, head(root, 1.3), "--advisory").exit_code == 0


def test_explain_says_how_a_decision_came_about(root: Path, before: Path, snapshot: SnapshotAssertion) -> None:
    done = invoke("compare", before, head(root, 1.3), "--explain", "*/native")
    assert snapshot == done.stdout.partition("\n\n")[0]


def test_the_json_holds_every_number(root: Path, before: Path, snapshot: SnapshotAssertion) -> None:
    done = invoke("gate", head(root, 1.3), head(root, 1.28, 22), "--baseline", before, "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["exit_status"]) == (10, 10)

    def rounded(value: object) -> object:
        return float(f"{value:.6g}") if isinstance(value, float) else value

    cases = [
        {key: rounded(value) if not isinstance(value, dict) else "..." for key, value in case.items()}
        for case in document["cases"]
    ]
    assert snapshot == cases


def test_a_failed_case_is_invalid_and_takes_precedence_over_a_regression(root: Path, before: Path) -> None:
    bad = a_run(1.3)
    members = [*bad.groups[0].members[:2], without_numbers("linfa", "failed", "parity: coef is off")]
    path = store.save(run(group(*members), created="2026-02-01"), root / "now")
    done = invoke("gate", path, head(root, 1.3, 22), "--baseline", before)
    assert done.exit_code == 12
    assert "failed: parity: coef is off" in done.stdout


def test_a_missing_case_must_be_allowed_to_be_missing(root: Path, before: Path) -> None:
    path = store.save(run(group(reference()), created="2026-02-01"), root / "now")
    assert invoke("gate", path, "--baseline", before).exit_code == 11
    assert invoke("gate", path, "--baseline", before, "--allow-missing", "*/native").exit_code == 0


def test_runs_of_another_machine_are_never_pooled(root: Path, before: Path) -> None:
    other = msgspec.structs.replace(MACHINE, fingerprint="f" * 16, cpu="Other CPU")
    done = invoke("gate", head(root, machine=other), "--baseline", before)
    assert done.exit_code == 11
    assert "are from another machine than Other CPU" in " ".join(done.stdout.split())


@pytest.mark.parametrize("margin", ["*=0%", "nonsense", "mean:0.1"])
def test_a_margin_that_cannot_be_read_is_a_usage_error(root: Path, before: Path, margin: str) -> None:
    assert invoke("gate", head(root), "--baseline", before, "--margin", margin).exit_code == 2


def test_an_unknown_case_to_explain_names_the_nearest(root: Path, before: Path) -> None:
    done = invoke("gate", head(root), "--baseline", before, "--explain", "regression::ridge-train-synthetic/natve")
    assert (done.exit_code, "did you mean" in done.stderr) == (2, True)


# --- unusable files -------------------------------------------------------------------------------------------------------


def without_checksum(path: Path, change: str, by: str) -> None:
    """Write a run of a schema from before there were checksums, with `change` replaced."""
    text = msgspec.json.encode(a_run(schema=3)).decode()
    assert change in text
    path.write_text(text.replace(change, by, 1))


def foreign(path: Path, *medians: float, machine: str = "Example") -> Path:
    """Write what pytest-benchmark would have written of benchmarks with these medians in seconds."""
    path.parent.mkdir(exist_ok=True)
    benchmarks = [{"fullname": f"x::{index}", "stats": {"median": median}} for index, median in enumerate(medians)]
    path.write_text(json.dumps({"benchmarks": benchmarks, "machine_info": {"cpu": {"brand_raw": machine}}}))
    return path


BEYOND = "9" * 400
"""The digits of an integer that no float can hold."""

BROKEN = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-400]),
    "edited": lambda path: path.write_bytes(path.read_bytes().replace(b"5", b"6", 1)),
    "newer": lambda path: path.write_bytes(b'{"schema":99,"runs":[],"groups":[]}'),
    "foreign": lambda path: path.write_bytes(b'{"hello":1}'),
    "no JSON": lambda path: path.write_bytes(b"\x80\x00 hello"),
    "twice": lambda path: path.write_bytes(b'{"schema":1,"schema":2,"runs":[]}'),
    "nested": lambda path: path.write_bytes(b"[" * 200_000),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "fifo": lambda path: (path.unlink(), os.mkfifo(path)),
    "link out": lambda path: (path.unlink(), path.symlink_to("/etc/hostname")),
    "dangling": lambda path: (path.unlink(), path.symlink_to("nowhere")),
    "circle": lambda path: (path.unlink(), path.symlink_to(path.name)),
    "huge": lambda path: os.truncate(path, 2 * 1024**3),
    "no margin": lambda path: without_checksum(path, '"margin":0.05', '"margin":-2.0'),
    "no member's margin": lambda path: without_checksum(path, '"margins":{}', '"margins":{"native":-1.0}'),
    "no calls": lambda path: without_checksum(path, '"calls_per_round":1,', '"calls_per_round":0,'),
    "too many calls": lambda path: without_checksum(path, '"calls_per_round":1,', f'"calls_per_round":{BEYOND},'),
    "too long a round": lambda path: without_checksum(path, '"cells":[[[', f'"cells":[[[{BEYOND}'),
    "too large a reading": lambda path: without_checksum(
        path, '"unit":"bytes","value":', f'"unit":"bytes","value":{BEYOND}'
    ),
    "half a letter": lambda path: foreign(path, 0.1, machine="\ud800"),
}


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("which", ["run", "second", "baseline"])
def test_an_unusable_file_is_named_and_nothing_is_decided(root: Path, before: Path, fault: str, which: str) -> None:
    files = {"run": head(root), "second": head(root, day=22), "baseline": before}
    BROKEN[fault](files[which])
    done = invoke("gate", files["run"], files["second"], "--baseline", files["baseline"])
    assert done.exit_code == 11
    assert str(files[which].name) in done.stderr
    assert "Traceback" not in done.output
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("command", "status"), [("gate", 11), ("compare", 11), ("baseline", 14)])
def test_an_impossible_path_is_named(root: Path, command: str, status: int) -> None:
    long, run_ = root / ("x" * 300), head(root)
    arguments = {"gate": [run_, "--baseline", long], "compare": [long, run_], "baseline": [long, "--into", root / "x"]}
    done = invoke(command, *arguments[command])
    assert (done.exit_code, "cannot be read (File name too long)" in done.stderr) == (status, True)


@pytest.mark.parametrize("ns", [0, -5])
def test_a_round_that_is_not_positive_is_invalid(root: Path, before: Path, ns: int) -> None:
    without_checksum(root / "run.json", '"cells":[[[', f'"cells":[[[{ns},')
    assert invoke("gate", root / "run.json", "--baseline", before).exit_code == 12


def test_times_that_are_too_large_are_invalid_and_saved_as_such(root: Path) -> None:
    files = [foreign(root / "before" / f"{day}.json", 1e308, 0.1 + day / 1e4) for day in range(12)]
    now = foreign(root / "now.json", 0.1, 0.1)
    assert invoke("baseline", *files, "--into", root / "main.json").exit_code == 0
    for baseline in ("before", "main.json"):
        done = invoke("gate", now, "--baseline", root / baseline)
        assert (done.exit_code, "baseline invalid: no times, or one that is not positive" in done.stdout) == (11, True)
    assert invoke("gate", files[0], "--baseline", root / "main.json").exit_code == 12


# --- saving baselines and listing runs ------------------------------------------------------------------------------------


def test_a_saved_baseline_says_what_it_holds_and_what_it_lacks(root: Path) -> None:
    for day in (1, 2):
        store.save(a_run(day=day), root / "before")
    done = invoke("baseline", root / "before", "--into", root / "kept" / "main.json")
    assert "2 runs, 3 cases; a gate needs 10" in done.stdout


def test_a_baseline_that_cannot_be_written_is_a_storage_failure(root: Path) -> None:
    path = store.save(a_run(), root / "before")
    (root / "file").write_text("")
    assert invoke("baseline", path, "--into", root / "file" / "main.json").exit_code == 14


def test_a_baseline_must_have_a_name(root: Path) -> None:
    done = invoke("baseline", head(root), "--into", "")
    assert (done.exit_code, "is not the name of a file; name one" in done.stderr) == (14, True)


def test_later_runs_can_be_added_to_a_saved_baseline(root: Path, before: Path) -> None:
    invoke("baseline", before, head(root, day=25), "--into", before)
    assert len(baselines.load([before]).runs) == 13


def test_the_history_lists_newest_first_and_names_unreadable_files(root: Path) -> None:
    paths = [store.save(a_run(day=day, complete=day != 2), root / "results") for day in (1, 2, 3)]
    paths[0].write_bytes(b"{")
    done = invoke("history", "--results", root / "results", "--limit", 5)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(path) for path in reversed(paths)]
    assert lines[1].endswith("smoke  direct  interrupted")
    assert "does not begin like a saved run" in lines[2]


def test_the_history_prints_no_control_characters(root: Path) -> None:
    store.save(a_run(profile="\x1b[31mRED\x1b]0;title\x07"), root / "results")
    damaged = store.save(a_run(), root / "results")
    damaged.write_bytes(b'{"\\u001b[31m":1,"groups":[]}')
    done = CliRunner().invoke(main, ["history", "--results", str(root / "results")], color=True)
    assert "?[31mRED?]0;title?" in done.stdout
    assert "unknown field `?[31m`" in done.stdout
    assert "\x1b" not in done.stdout
