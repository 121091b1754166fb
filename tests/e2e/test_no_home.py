"""A mistyped state directory: commands that read one refuse it and make nothing; those that make one go on doing so."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from features.home import Home
from tests.command_line import run_command
from tests.serving_world import ROOT

A_DECISION = "dfdee430d40bd57de-01kjmma2g00000000000000000"
POLICY = str(ROOT / "products" / "onboarding" / "policy.yaml")
READING = (
    *(["decide", "ada"], ["explain", "ada"], ["explain", A_DECISION], ["replay", A_DECISION], ["replay", "--all"]),
    *(["policy", "backtest", POLICY], ["consistency"], ["shadow"], ["sweep"], ["sweep", "--dry-run"], ["compact"], ["rebuild"], ["train"]),
    *(["receipts", "ada"], ["erase", "ada"], ["erase", "ada", "--yes"], ["features", "rows.parquet", "out"]),
)


@pytest.fixture
def run(tmp_path, monkeypatch, capfdbinary):
    """Run one command, with what ``features`` wants in the working directory; answers exit code, stdout and stderr."""
    for name in ("STILLHERE_HOME", "STILLHERE_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STILLHERE_PRODUCT", str(ROOT / "products" / "onboarding"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"user_id": ["ada"], "as_of": pd.to_datetime(["2026-03-01T12:00:00Z"])}).to_parquet("rows.parquet")

    def run_one(*arguments):
        code, out, err = run_command(capfdbinary, *arguments)
        return code, out.decode(), err

    return run_one


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_that_reads_refuses_a_folder_that_is_not_there_and_makes_none(run, tmp_path, command):
    code, out, err = run(*command, "--home", "stilhere")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"stillhere: stilhere in {tmp_path} is no state directory of ours: expected a folder that `stillhere import`")
    assert "found nothing of that name; name yours with --home or STILLHERE_HOME" in err
    assert "`stillhere demo` to try it, or `stillhere init`" in err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_what_is_there_instead_is_said(run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert "found an empty folder;" in run("decide", "ada", "--home", "empty")[2]
    assert "found a file;" in run("decide", "ada", "--home", "file")[2]
    for name in ("a", "b", "c", "d", "e"):
        (tmp_path / "other" / name).mkdir(parents=True)
    assert "found a folder with a, b, c, d and 1 more;" in run("decide", "ada", "--home", "other")[2]
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["a", "b", "c", "d", "e"]


def test_a_checkout_with_its_product_folders_is_no_home():
    assert not Home(ROOT).is_there


def test_an_import_makes_one_and_whoever_reads_finds_it(run):
    Path("events.jsonl").write_text('{"event_id": "1", "user_id": "ada", "kind": "login", "occurred_at": "2026-03-01T12:00:00Z"}\n')
    assert run("import", "events.jsonl", "--log", "events", "--home", "mine")[0] == 0
    assert Home(Path("mine")).is_there
    code, out, _ = run("decide", "ada", "--home", "mine")
    assert (code, '"user_id":"ada"' in out) == (0, True)


def test_checking_a_policy_needs_no_home(run, tmp_path):
    assert run("policy", "check", "--home", "stilhere")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]
