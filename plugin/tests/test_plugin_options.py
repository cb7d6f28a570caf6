"""Every option has an ini twin, and the command line takes precedence over it."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_duet.plugin.options import SELECTORS, Settings, read_settings

TEXTS = {
    **dict.fromkeys(SELECTORS, "a,b"),
    "profile": "full",
    "mode": "paired",
    "threads": "all",
    "device": "cpu",
    "results": "elsewhere",
    "cache": "elsewhere",
    "model": "cnn=weights",
    "gate": "main.json",
    "margin": "cnn/*=10%",
    "allow_missing": "*/candle",
    "explain": "cnn/*",
}
SAME_AS_DEFAULT = {"threads", "device"}
"""On a machine with one CPU and no GPU there is no other value."""


def settings(pytester: pytest.Pytester, *arguments: str) -> Settings:
    return read_settings(pytester.parseconfig(*arguments))


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_an_option_and_its_ini_twin_mean_the_same(pytester: pytest.Pytester, field: dataclasses.Field[object]) -> None:
    name = field.metadata["option"].name or field.name
    option = f"--duet-{name.replace('_', '-')}"
    default = getattr(settings(pytester), field.name)
    by_option = getattr(settings(pytester, f"{option}={TEXTS[name]}" if name in TEXTS else option), field.name)
    pytester.makeini(f"[pytest]\nduet_{name} = {TEXTS.get(name, 'true')}\n")
    assert by_option == getattr(settings(pytester), field.name)
    assert by_option != default or name in SAME_AS_DEFAULT


def test_the_command_line_takes_precedence(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nduet_profile = full\nduet_task = cnn rnn\n")
    found = settings(pytester, "--duet-profile=standard", "--duet-task=svm")
    assert (found.profile, found.selected) == ("standard", {"task": ["svm"]})


def test_paths_of_models_are_relative_to_where_they_were_written(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nduet_model = cnn=weights\n")
    below = pytester.mkdir("below")
    assert settings(pytester).models == {"cnn": pytester.path / "weights"}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(below)
        found = settings(pytester, f"--rootdir={pytester.path}", "--duet-model=cnn=weights")
    assert found.models == {"cnn": below / "weights"}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--duet-mode=diret", "--duet-mode: unknown mode 'diret'; did you mean 'direct'?"),
        ("--duet-threads=0", "--duet-threads: '0' is not what this machine can do"),
        ("--duet-device=gpu", "--duet-device: 'gpu' is no device; write cpu, cuda or cuda:N"),
        ("--duet-model=cnn", "--duet-model: 'cnn' names no task and folder; write TASK=PATH"),
        ("--duet-margin=5", "--duet-margin: margin '5' cannot be used"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_its_option(
    pytester: pytest.Pytester, argument: str, message: str
) -> None:
    with pytest.raises(pytest.UsageError) as caught:
        settings(pytester, argument)
    assert str(caught.value).startswith(message)
