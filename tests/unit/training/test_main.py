"""``python -m training`` says what to activate, in one sentence, where the environment is not there."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import asdict, is_dataclass
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


LOG = {"product": "products/onboarding", "home": "h", "labels": "", "seed": 1}
ENTRY_POINTS = {
    "train": LOG | {"max_rounds": 10, "max_depth": 3, "promote": "never", "parameters": "", "tune_trials": 0},
    "tune": LOG | {"trials": 3, "timeout_s": 60.0},
    "evaluate": LOG | {"model": "models:/stillhere-onboarding/3"},
    "promote": LOG
    | {"version": 3, "metric": "auc", "confidence": 0.9, "margin": 0.02, "force": "a reason", "rollback": "true", "shadow": "none"},
}


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_mlproject_and_the_command_line_agree(name: str) -> None:
    from training.commands.app import app

    entry, values = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"][name], ENTRY_POINTS[name]
    assert set(values) == set(entry["parameters"])
    arguments = shlex.split(entry["command"].format(**{key: shlex.quote(str(value)) for key, value in values.items()}))[3:]
    _, bound, _ = app.parse_args(arguments)
    given = {}
    for key, value in bound.arguments.items():
        given |= asdict(value) if is_dataclass(value) else {key: value}
    assert {key: str(value).lower() for key, value in given.items()} == {key: str(value).lower() for key, value in values.items()}


def test_an_expected_error_is_one_sentence(tmp_path: Path, monkeypatch, capsys) -> None:
    from training.commands.app import run

    monkeypatch.chdir(tmp_path)
    assert run(["train", "--product", str(tmp_path / "nowhere")]) == 1
    assert "training stopped:" in capsys.readouterr().err
