"""``python -m training simulate`` and the entry point of MLproject."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from training.commands.app import app, run
from training.planted import Timing

ROOT = Path(__file__).resolve().parents[3]
ONBOARDING = str(ROOT / "products" / "onboarding")


def test_the_entry_point_and_the_command_line_agree():
    entry = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]["simulate"]
    values = {"product": "p", "folder": "f", "users": 9, "seed": 1, "days": 3, "end": "now", "trial": "t.parquet"}
    values |= {"timing": "against-habit", "decisions": 2, "truth": "true"}
    assert set(values) == set(entry["parameters"])
    _, bound, _ = app.parse_args(entry["command"].format(**values).split()[3:])
    read = dict(bound.arguments)
    assert read.pop("timing") is Timing.AGAINST_HABIT
    assert read.pop("truth") is True
    assert {name: str(value) for name, value in read.items()} == {name: str(values[name]) for name in read}


def test_the_entry_point_s_own_values_are_those_of_the_command():
    entry = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]["simulate"]
    own = {name: parameter["default"] for name, parameter in entry["parameters"].items()}
    command, bound, _ = app.parse_args(entry["command"].format(**own).split()[3:])
    defaults = command.__kwdefaults__
    assert {name: defaults[name] for name in bound.arguments} == bound.arguments


def test_a_log_is_written_and_said_to_be(tmp_path, capsys):
    assert run(["simulate", "--product", ONBOARDING, "--folder", str(tmp_path), "--users", "30", "--days", "10"]) == 0
    assert (tmp_path / "events.jsonl.gz").is_file()
    assert (tmp_path / "profiles.csv").is_file()
    assert not list(tmp_path.glob("*.parquet"))
    assert "30 users" in capsys.readouterr().out


def test_a_trial_is_written_on_demand(tmp_path, capsys):
    asked = ["--folder", str(tmp_path), "--users", "40", "--trial", "trial.parquet", "--timing", "against-habit", "--truth"]
    assert run(["simulate", "--product", ONBOARDING, *asked]) == 0
    assert len(pd.read_parquet(tmp_path / "trial.parquet")["cause"]) == 40
    said = capsys.readouterr().out
    assert "40 decisions" in said
    assert "trial.parquet" in said


@pytest.mark.parametrize(
    ("asked", "said"), [(["--users", "0"], "n_users: got 0"), (["--end", "soon"], "end: got 'soon', expected an ISO date")]
)
def test_what_cannot_be_is_one_sentence(tmp_path, capsys, asked, said):
    assert run(["simulate", "--product", ONBOARDING, "--folder", str(tmp_path), *asked]) == 1
    assert said in capsys.readouterr().err
