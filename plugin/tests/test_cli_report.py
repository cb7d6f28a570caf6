"""The command that shows a saved run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner, Result

from pytest_duet.cli.report import BEGIN, END, report
from pytest_duet.records import store
from pytest_duet.records.journal import Journal
from pytest_duet.records.schema import Comparison
from pytest_duet.report.formats import markdown, terminal

from .samples import MACHINE, everything

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return store.save(everything(), tmp_path)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(report, [str(argument) for argument in arguments])


@pytest.mark.parametrize(("options", "verbosity"), [([], 0), (["-v"], 1), (["-q"], -1)])
def test_it_prints_the_verdict_table(saved: Path, options: list[str], verbosity: int) -> None:
    done = invoke(saved, "--width", 100, *options)
    assert (done.exit_code, done.stdout) == (0, terminal.render(everything(), 100, verbosity))


def test_it_prints_markdown_that_cites_the_file(saved: Path) -> None:
    done = invoke(saved, "--format", "markdown")
    assert (done.exit_code, done.stdout) == (0, markdown.render(everything(), saved.stem))


def test_its_json_holds_every_comparison(saved: Path) -> None:
    document = json.loads(invoke(saved, "--format", "json").stdout)
    assert document["run"] == saved.stem
    assert [each["member"] for each in document["comparisons"]] == [each.member for each in everything().comparisons]


def test_an_edited_verdict_is_judged_anew(saved: Path) -> None:
    forged = Comparison(group="g", member="m", verdict="faster", reason="", cells=0)
    path = store.save(msgspec.structs.replace(everything(), comparisons=[forged]), saved.parent)
    assert json.loads(invoke(path, "--format", "json").stdout)["comparisons"][0]["group"] != "g"


def test_it_puts_the_table_between_the_markers_and_leaves_the_rest(saved: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n{BEGIN}\nold\n{END}\nend ü\n", encoding="utf-8")
    readme.chmod(0o600)
    for _ in range(2):
        done = invoke(saved, "--into", readme)
        assert (done.exit_code, done.output) == (0, "")
    table = markdown.render(everything(), saved.stem)
    assert readme.read_text(encoding="utf-8") == f"# Title\n{BEGIN}\n{table}{END}\nend ü\n"
    assert readme.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["nothing", BEGIN, f"{END} {BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_missing_markers_are_an_error_and_the_file_stays(saved: Path, tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    done = invoke(saved, "--into", readme)
    assert done.exit_code == 14
    assert "add them where the table belongs" in done.output
    assert readme.read_text() == text


def test_a_document_that_links_to_itself_is_named(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").symlink_to("README.md")
    done = invoke(saved, "--into", tmp_path / "README.md")
    assert (done.exit_code, "Too many levels of symbolic links" in done.output) == (14, True)


def test_into_takes_no_other_format(saved: Path, tmp_path: Path) -> None:
    done = invoke(saved, "--into", tmp_path / "x", "--format", "json")
    assert done.exit_code == 2
    assert "--into takes Markdown, not --format json" in done.output


def test_a_file_that_is_no_run_is_a_storage_failure(tmp_path: Path) -> None:
    done = invoke(tmp_path / "none.json")
    assert done.exit_code == 14
    assert "there is no such file; check the path" in done.output


def test_a_cut_off_journal_is_shown_with_a_word_about_what_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal.open(path, machine=MACHINE, profile="smoke", mode="direct", created="2026-01-02T03:04:05Z") as opened:
        for each in everything().groups:
            opened.append(each)
    path.write_bytes(path.read_bytes()[:-5])
    done = invoke(path, "-q")
    assert done.exit_code == 0
    assert "the last line was cut off" in done.stderr
    assert "regression::ridge-train-synthetic" in done.stdout
