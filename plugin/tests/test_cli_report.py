"""``duet report``: formats, and sections put into documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner, Result

from pytest_duet.cli import main
from pytest_duet.records import store
from pytest_duet.records.journal import Journal
from pytest_duet.records.schema import Comparison
from pytest_duet.report.formats import FORMATS, Format, markdown, register, terminal
from pytest_duet.report.markers import BEGIN, END

from .samples import MACHINE, everything

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return store.save(everything(), tmp_path)


def _begin(section: str) -> str:
    return f"<!-- duet:begin {section} -->"


def _end(section: str) -> str:
    return f"<!-- duet:end {section} -->"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.mark.parametrize(("options", "verbosity"), [([], 0), (["-v"], 1), (["-q"], -1)])
def test_the_verdict_table_is_printed(saved: Path, options: list[str], verbosity: int) -> None:
    done = invoke(saved, "--width", 100, *options)
    assert (done.exit_code, done.stdout) == (0, terminal.render(everything(), 100, verbosity))


def test_markdown_cites_the_file(saved: Path) -> None:
    done = invoke(saved, "--format", "markdown")
    assert (done.exit_code, done.stdout) == (0, markdown.render(everything(), saved.stem))


def test_json_holds_every_comparison(saved: Path) -> None:
    document = json.loads(invoke(saved, "--format", "json").stdout)
    assert document["run"] == saved.stem
    assert [each["member"] for each in document["comparisons"]] == [each.member for each in everything().comparisons]


def test_an_edited_verdict_is_derived_anew(saved: Path) -> None:
    forged = Comparison(group="g", member="m", verdict="faster", reason="", cells=0)
    path = store.save(msgspec.structs.replace(everything(), comparisons=[forged]), saved.parent)
    assert json.loads(invoke(path, "--format", "json").stdout)["comparisons"][0]["group"] != "g"


def test_into_fills_the_space_between_the_markers_and_keeps_the_rest(saved: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n{BEGIN}\nold\n{END}\nend ü\n", encoding="utf-8")
    readme.chmod(0o600)
    for _ in range(2):
        done = invoke(saved, "--into", readme)
        assert (done.exit_code, done.output) == (0, "")
    table = markdown.render(everything(), saved.stem)
    assert readme.read_text(encoding="utf-8") == f"# Title\n{BEGIN}\n{table}{END}\nend ü\n"
    assert readme.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    [
        *["nothing", BEGIN, f"{END} {BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"],
        *[f"{_begin('cases')}{_end('summary')}", f"{BEGIN}{_begin('cases')}{END}{_end('cases')}"],
    ],
)
def test_missing_markers_are_an_error_and_the_file_is_unchanged(saved: Path, tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    done = invoke(saved, "--into", readme)
    assert done.exit_code == 14
    assert "add them where the table belongs" in done.output
    assert readme.read_text() == text


def test_a_marker_chooses_its_section_and_a_document_may_have_several(saved: Path, tmp_path: Path) -> None:
    readme, results = tmp_path / "README.md", tmp_path / "results.md"
    readme.write_text(f"a\n{_begin('sample')}\n{_end('sample')}\nb\n{_begin('summary')}{_end('summary')}\n")
    results.write_text(f"{_begin('cases')}\nold\n{_end('cases')}\n")
    done = invoke(saved, "--into", readme, "--into", results)
    assert (done.exit_code, done.output) == (0, "")
    sample, summary, cases = (
        markdown.render(everything(), saved.stem, each) for each in ("sample", "summary", "cases")
    )
    assert readme.read_text() == (
        f"a\n{_begin('sample')}\n{sample}{_end('sample')}\nb\n{_begin('summary')}\n{summary}{_end('summary')}\n"
    )
    assert results.read_text() == f"{_begin('cases')}\n{cases}{_end('cases')}\n"


def test_an_unknown_section_is_named_with_those_there_are(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text(f"{_begin('case')}{_end('case')}")
    done = invoke(saved, "--into", tmp_path / "x.md")
    assert done.exit_code == 14
    assert "no section is called 'case'; write one of summary, cases, sample" in done.output


def test_no_document_is_written_where_one_of_several_cannot_be_used(saved: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.md", tmp_path / "bad.md"
    good.write_text(f"{BEGIN}{END}")
    bad.write_bytes(b"\xff")
    done = invoke(saved, "--into", good, "--into", bad)
    assert (done.exit_code, "bad.md: is not UTF-8" in done.output) == (14, True)
    assert good.read_text() == f"{BEGIN}{END}"


def test_a_registered_format_is_offered_and_used(saved: Path) -> None:
    register(Format("madeup", "for tests", lambda run, options: f"{options.stem}: {len(run.groups)} groups\n"))
    try:
        assert invoke(saved, "--format", "madeup").stdout == f"{saved.stem}: 5 groups\n"
        described = " ".join(invoke("--help").stdout.split())
        assert "madeup]" in described
        assert "madeup for tests." in described
    finally:
        del FORMATS["madeup"]


def test_an_unknown_format_is_a_usage_error(saved: Path) -> None:
    done = invoke(saved, "--format", "jsn")
    assert (done.exit_code, "unknown format 'jsn'; did you mean 'json'?" in done.output) == (2, True)


def test_a_document_that_links_to_itself_is_an_error(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").symlink_to("README.md")
    done = invoke(saved, "--into", tmp_path / "README.md")
    assert (done.exit_code, "Too many levels of symbolic links" in done.output) == (14, True)


def test_into_takes_only_markdown(saved: Path, tmp_path: Path) -> None:
    done = invoke(saved, "--into", tmp_path / "x", "--format", "json")
    assert done.exit_code == 2
    assert "--into takes Markdown, not --format json" in done.output


def test_a_missing_run_is_a_storage_failure(tmp_path: Path) -> None:
    done = invoke(tmp_path / "none.json")
    assert done.exit_code == 14
    assert "there is no such file; check the path" in done.output


def test_a_cut_off_journal_is_shown_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal.open(path, machine=MACHINE, profile="smoke", mode="direct", created="2026-01-02T03:04:05Z") as opened:
        for each in everything().groups:
            opened.append(each)
    path.write_bytes(path.read_bytes()[:-5])
    done = invoke(path, "-q")
    assert done.exit_code == 0
    assert "the last line was cut off" in done.stderr
    assert "regression::ridge-train-synthetic" in done.stdout
