"""What no parameter may be is refused in one sentence, from the command line and from a notebook, before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import pandas as pd
import pytest

from training.backtest import BacktestError, BacktestOptions
from training.bounds import MOST_SEED
from training.commands.app import app, run
from training.drift.compare import Tolerance
from training.drift.run import DriftOptions
from training.errors import BadInputError, TooLittleDataError, TrainingError
from training.fit import FitParameters
from training.frame import TrainingFrame
from training.freshness import Look
from training.parameters_file import read_parameters
from training.pipeline import train_model
from training.run import Options
from training.side_by_side import Asked
from training.timing.drawn_delays import DrawnTrial, write_trial
from training.timing.fitted import TimingOptions
from training.tune import Search
from training.uplift.study import require_draws

PRODUCT = Path(__file__).resolve().parents[3] / "products" / "onboarding"
UPLIFT = ["trial.csv", "--outcome=stayed", "--arm=action", "--control=none", "--propensity=p"]
HUGE = 10**15
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TAKEN = {  # what stands for "none of it" or has no upper end that means anything; all else is refused
    *(("train", name, "0") for name in ("seed", "tune_trials", "tune_timeout_s", "explanation_budget_ms", "stale_after_days")),
    ("train", "explanation_budget_ms", str(HUGE)),
    *((name, "seed", "0") for name in ("evaluate", "promote", "tune", "uplift", "simulate", "timing", "backtest")),
    *((name, "stale_after_days", "0") for name in ("evaluate", "promote", "tune", "trial", "thresholds", "monitor", "drift", "timing")),
    *((name, "stale_after_days", "0") for name in ("backtest", "signals")),
    ("promote", "margin", "0"),
    *(("promote", name, str(HUGE)) for name in ("margin", "explanation_budget_ms")),
    ("promote", "explanation_budget_ms", "0"),
    ("tune", "timeout_s", "0"),
    ("drift", "retrain_every_days", "0"),
    ("thresholds", "least_users", str(HUGE)),
}


def numbers_of(command: str) -> dict[str, type]:
    """Names of a command's numeric parameters, options of a group among them, and what each is."""
    found: dict[str, type] = {}
    for name, hint in get_type_hints(app[command].default_command, include_extras=True).items():
        kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        fields = get_type_hints(kind) if hasattr(kind, "__dataclass_fields__") else {name: kind}
        found |= {each: kind for each, kind in fields.items() if kind in {int, float}}
    return found


COMMANDS = [name for name in app if not name.startswith("-")]
WRONG = [
    (command, name, value)
    for command in COMMANDS
    for name, kind in numbers_of(command).items()
    if name != "decisions"  # of a trial alone: see below
    for value in ("-1", "0", str(HUGE), *(["nan"] if kind is float else []))
    if (command, name, value) not in TAKEN
]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where nothing was imported, and whatever reaches MLflow leaves its files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


@pytest.mark.parametrize(("command", "name", "value"), WRONG)
def test_a_wrong_number_is_refused_before_anything_is_loaded(
    command: str, name: str, value: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = UPLIFT if command == "uplift" else [f"--product={PRODUCT}"]
    assert run([command, *wanted, f"--{name.replace('_', '-')}={value}"]) == 1
    said = capsys.readouterr().err
    assert re.search(rf"{name}.*expected .*[,;] .*", said), said
    assert not list(elsewhere.iterdir())  # no run, no store, no file


@pytest.mark.parametrize("value", ["-1", "0", str(HUGE)])
def test_decisions_of_a_trial_are_some(value: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", f"--product={PRODUCT}", "--trial=trial.parquet", f"--decisions={value}"]) == 1
    assert f"n_decisions: got {value}, expected a whole number from 1 to 52" in capsys.readouterr().err
    assert not list(elsewhere.iterdir())


def test_every_numeric_parameter_is_asked_about() -> None:
    names = {name for command in COMMANDS for name in numbers_of(command)}
    assert {"seed", "users", "days", "decisions", "max_rounds", "max_depth", "trials", "timeout_s", "steps", "draws"} <= names
    assert {"bound", "confidence", "margin", "false_discoveries", "stale_after_days", "max_rows", "least_users"} <= names
    assert {(command, name) for command, name, _ in TAKEN} <= {(command, name) for command in COMMANDS for name in numbers_of(command)}


@pytest.mark.parametrize("trial", [[], ["--trial=trial.parquet"]])
def test_a_folder_that_cannot_be_made_is_named(trial: list[str], elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "file").write_text("")
    assert run(["simulate", f"--product={PRODUCT}", "--users=20", f"--folder={elsewhere / 'file' / 'x'}", *trial]) == 1
    assert re.search(r"folder: got .*file/x .*, expected one that can be written to; name another", capsys.readouterr().err)


NOTEBOOK: list[tuple[Callable[[], object], type[TrainingError], str]] = [
    (
        lambda: FitParameters(max_rounds=-5),
        BadInputError,
        "max_rounds: got -5, expected a whole number from 1 to 100000; 300 is the default",
    ),
    (lambda: FitParameters(max_depth=0), BadInputError, "max_depth: got 0"),
    (lambda: FitParameters(learning_rate=float("nan")), BadInputError, "learning_rate: got nan, expected a number above 0 and at most 1"),
    (lambda: FitParameters(num_leaves=2.5), BadInputError, "num_leaves: got 2.5, expected a whole number"),  # type: ignore[arg-type]
    (lambda: FitParameters(positive_weight=0.0), BadInputError, "positive_weight: got 0.0"),
    (lambda: FitParameters(leak_auc=0.2), BadInputError, "leak_auc: got 0.2"),
    (lambda: BacktestOptions(steps=0), BacktestError, "steps: got 0"),
    (lambda: TimingOptions(max_rows=0), BadInputError, "max_rows: got 0, expected a whole number from 100"),
    (lambda: TimingOptions(seed=-1), BadInputError, "seed: got -1"),
    (lambda: Search(timeout_s=-1.0), BadInputError, "timeout_s: got -1.0, expected a number of at least 0"),
    (lambda: Search(n_trials=0), BadInputError, "trials: got 0"),
    (lambda: Options(tune_timeout_s=float("nan")), BadInputError, "tune_timeout_s: got nan"),
    (lambda: Asked(seed=MOST_SEED + 1), BadInputError, "seed: got 2000000001, expected a whole number from 0 to 2000000000"),
    (lambda: Tolerance(false_discoveries=2.0), BadInputError, "false_discoveries: got 2.0, expected a number above 0 and at most 0.5"),
    (lambda: DriftOptions(retrain_every=timedelta(days=-3)), BadInputError, "retrain_every_days: got -3.0"),
    (lambda: Look(now=NOW, stale_after=timedelta(days=-4)), BadInputError, "stale_after_days: got -4.0, expected a number of at least 0"),
    (lambda: require_draws(0, 5), BadInputError, "draws: got 5"),
]


@pytest.mark.parametrize(("made", "error", "said"), NOTEBOOK)
def test_a_notebook_hears_the_same(made: Callable[[], object], error: type[TrainingError], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        made()


def test_a_file_of_parameters_is_named_with_what_is_wrong_in_it(tmp_path: Path) -> None:
    file = tmp_path / "tuned.json"
    file.write_text('{"max_depth": 0}')
    with pytest.raises(BadInputError, match=r"tuned\.json: max_depth: got 0"):
        read_parameters(file)


def test_a_frame_without_rows_and_a_seed_below_zero_are_errors_of_training(frame: TrainingFrame) -> None:
    with pytest.raises(TooLittleDataError, match="slice train has 0 rows"):
        train_model(replace(frame, rows=frame.rows.iloc[:0]))
    with pytest.raises(BadInputError, match="seed: got -1"):
        train_model(frame, seed=-1)


def test_a_trial_that_cannot_be_written_is_named(elsewhere: Path) -> None:
    (elsewhere / "file").write_text("")
    with pytest.raises(BadInputError, match=r"out: got .*file/x/trial\.parquet .*, expected a file that can be written; name another"):
        write_trial(DrawnTrial(table=pd.DataFrame(), left_out={}, n_never_contacted=0), elsewhere / "file" / "x" / "trial.parquet")
