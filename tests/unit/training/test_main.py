"""``python -m training`` says what to activate, in one sentence, where the environment is not there."""

from __future__ import annotations

import subprocess
import sys
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


_LOG = {"product": "products/onboarding", "home": "h", "seed": 1, "labels": ""}


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("train", {"max_rounds": 10, "max_depth": 3, "parameters": "", "tune_trials": 0}),
        ("tune", {"trials": 3, "timeout_s": 60.0}),
    ],
)
def test_mlproject_and_the_command_line_agree(name: str, own: dict[str, object]) -> None:
    from training.commands.app import app

    entry = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"][name]
    values = _LOG | own
    assert set(values) == set(entry["parameters"])
    arguments = entry["command"].format(**values).split()[3:]
    _, bound, _ = app.parse_args(arguments)
    assert {name: str(value) for name, value in bound.arguments.items()} == {name: str(value) for name, value in values.items()}


def test_an_expected_error_is_one_sentence(tmp_path: Path, monkeypatch, capsys) -> None:
    from training.commands.app import run

    monkeypatch.chdir(tmp_path)
    assert run(["train", "--product", str(tmp_path / "nowhere")]) == 1
    assert "training stopped:" in capsys.readouterr().err
