"""``python -m training`` says what to activate, in one sentence, where the environment is not there."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path

import pytest
import yaml

from training.__main__ import NEEDED, missing_packages

ROOT = Path(__file__).resolve().parents[3]


def test_nothing_is_missing_here() -> None:
    assert missing_packages() == []


def test_without_the_environment_it_names_what_to_activate() -> None:
    # -S leaves out site-packages: the interpreter as it is outside .venv.
    done = subprocess.run([sys.executable, "-S", "-m", "training", "train"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "activate .venv: source .venv/bin/activate" in done.stderr
    assert NEEDED[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_mlproject_declares_no_parameter_that_is_logged_again() -> None:
    project = yaml.safe_load((ROOT / "MLproject").read_text())
    declared = {name for entry in project["entry_points"].values() for name in entry["parameters"]}
    assert {"product", "home", "seed"} <= declared
    assert not any("." in name for name in declared)  # every logged parameter has a dot: test_pipeline


PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
REQUIRED = {
    "uplift": {"file": "trial.csv", "outcome": "stayed", "arm": "action", "control": "none", "propensity": "p"},
}
"""Values of parameters that have no default, by entry point."""
OTHER = {
    "promote": {"promote": "never", "metric": "auc", "force": "a reason", "rollback": "true", "shadow": "none", "version": "3"},
    "train": {"promote": "never", "timing": "false", "parameters": "tuned file.json"},
    "simulate": {"timing": "against-habit", "truth": "true", "end": "2025-01-01"},
    "thresholds": {"error": "of-alerts", "write": "true"},
    "monitor": {"error": "of-alerts", "since": "2025-01-01T12:00Z"},
    "drift": {"source": "log", "adjustment": "benjamini-hochberg", "since": "2025-01-01T12:00Z"},
}
"""Values other than the defaults where not every text is one; of the others, texts get another text and numbers another number."""
NUMBERS = {"bound": 0.2, "confidence": 0.9, "margin": 0.02, "false_discoveries": 0.1}


def given_to(name: str, values: Mapping[str, object]) -> dict[str, object]:
    """What the entry point's command makes of the parameters, by name: options of a group stand beside the others."""
    from training.commands.app import app

    filled = {key: shlex.quote(str(value)) for key, value in values.items()}
    command, bound, _ = app.parse_args(shlex.split(PROJECT[name]["command"].format(**filled))[3:])
    assert command.__name__ == name
    bound.apply_defaults()
    flat: dict[str, object] = {}
    for key, value in bound.arguments.items():
        flat |= asdict(value) if is_dataclass(value) else {key: value}
    return flat


def of_command(name: str) -> dict[str, object]:
    """What the command itself takes for granted."""
    from training.commands.app import app

    positional = [REQUIRED[name]["file"]] if name in REQUIRED else []
    options = [f"--{key}={value}" for key, value in REQUIRED.get(name, {}).items() if key != "file"]
    _, bound, _ = app.parse_args([name, *positional, *options])
    bound.apply_defaults()
    flat: dict[str, object] = {}
    for key, value in bound.arguments.items():
        flat |= asdict(value) if is_dataclass(value) else {key: value}
    return flat


def _spelled(value: object) -> str:
    text = value.name if isinstance(value, Enum) else str(value)
    return text.lower().replace("_", "-").removesuffix(".0")


def test_every_command_is_an_entry_point_and_the_other_way_round() -> None:
    from training.commands.app import app

    assert {name for name in app if not name.startswith("-")} == set(PROJECT)


@pytest.mark.parametrize("name", PROJECT)
def test_an_entry_points_defaults_are_those_of_its_command(name: str) -> None:
    declared = PROJECT[name]["parameters"]
    assert {key for key, spec in declared.items() if "default" not in spec} == set(REQUIRED.get(name, {}))
    defaults = {key: spec["default"] for key, spec in declared.items() if "default" in spec}
    assert given_to(name, defaults | REQUIRED.get(name, {})) == of_command(name)
    assert set(of_command(name)) == set(declared)  # no option is left to the command line alone
    assert set(re.findall(r"\{(\w+)\}", PROJECT[name]["command"])) == set(declared)  # and every one is handed on


@pytest.mark.parametrize("name", PROJECT)
def test_every_parameter_of_an_entry_point_is_typed_and_says_what_it_is(name: str) -> None:
    text = (ROOT / "MLproject").read_text()
    lines = text.split(f"\n  {name}:\n")[1].split("command:")[0].splitlines()
    parameters = [line.strip() for line in lines if re.match(r"      \w+:", line)]
    assert [line.split(":")[0] for line in parameters] == list(PROJECT[name]["parameters"])
    for line in parameters:
        assert re.match(r"\w+: \{type: (float|string|path)(, default: .+)?\}  # \S.{3}", line), line


@pytest.mark.parametrize("name", PROJECT)
def test_help_shows_every_placeholder(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from training.commands.app import app

    app([name, "--help"], result_action="return_value")
    shown = re.sub(r"[^\w<>]+", " ", capsys.readouterr().out)
    written = inspect.getdoc(app[name].default_command) or ""
    for placeholder in re.findall(r"<[\w ]+>", written):
        assert placeholder in shown


@pytest.mark.parametrize("name", PROJECT)
def test_what_an_entry_point_is_given_arrives_at_its_command_as_it_is(name: str) -> None:
    values: dict[str, object] = {}
    for key, spec in PROJECT[name]["parameters"].items():
        other = NUMBERS.get(key, 7) if spec["type"] == "float" else "somewhere else"
        values[key] = OTHER.get(name, {}).get(key, other)
    given = given_to(name, values)
    spelled = {key: _spelled(given[key]) for key in values if key != "end"}
    assert spelled == {key: str(values[key]).lower() for key in spelled}
    for key, spec in PROJECT[name]["parameters"].items():
        is_number = isinstance(given[key], int | float) and not isinstance(given[key], bool)
        assert is_number == (spec["type"] == "float"), key


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    from training.commands.app import run

    assert run(["--version"]) == 0
    expected = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert capsys.readouterr().out.strip() == f"stillhere {expected}"


def test_an_expected_error_is_one_sentence(tmp_path: Path, monkeypatch, capsys) -> None:
    from training.commands.app import run

    monkeypatch.chdir(tmp_path)
    assert run(["train", "--product", str(tmp_path / "nowhere")]) == 2
    assert "stopped:" in capsys.readouterr().err
