"""A trial is checked before it is believed, and one that cannot show what a delay does says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.core.product import Product
from features.home import Home
from training.errors import BadInputError, OneClassError, TooLittleDataError, TrainingError
from training.run import Options, train_product
from training.timing.trial_log import LEAST_PROPENSITY, read_trial, require_learnable

N_ROWS = 900
IMPOSSIBLE = (1e-300, 0.99 * LEAST_PROPENSITY, 0.0, -0.5, 1.5, np.inf, np.nan)
"""As the chance of what was done."""


def decisions(**columns: Any) -> pd.DataFrame:
    """A trial that can be learned from, some of its columns changed."""
    rng = np.random.default_rng(0)
    sent = rng.random(N_ROWS) < 0.8
    table = {
        "user_id": [f"u{number:04d}" for number in range(N_ROWS)],
        "as_of": pd.Timestamp("2025-03-03", tz="UTC"),
        "action": np.where(sent, "silence", "none"),
        "delay_s": np.where(sent, rng.choice([0.0, 3_600.0], N_ROWS), np.nan),
        "dropped_out": rng.random(N_ROWS) < 0.5,
    }
    return pd.DataFrame(table | columns)


def written(folder: Path, table: pd.DataFrame) -> Path:
    table.to_parquet(file := folder / "trial.parquet")
    return file


def test_a_whole_trial_is_read_and_can_be_learned_from(tmp_path: Path) -> None:
    table = read_trial(written(tmp_path, decisions()))
    assert len(table) == N_ROWS
    require_learnable(table)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"delay_s": np.nan}, "a delay_s of 0 or more where something was sent"),
        ({"delay_s": -1.0}, "a delay_s of 0 or more where something was sent"),
        ({"dropped_out": None}, "a dropped_out"),
        *(({"delay_propensity": chance}, "a delay_propensity of at least 0.0001, at most 1") for chance in IMPOSSIBLE),
        *(({"sent_propensity": chance}, "a sent_propensity from 0 to 1 that gives what was done") for chance in IMPOSSIBLE),
        ({"open_delays_s": [[7.0]] * N_ROWS}, "open_delays_s with the delay_s among them"),
        ({"open_delays_s": None}, "open_delays_s with the delay_s among them"),
        ({"sent_propensity": 1.0}, "a sent_propensity from 0 to 1 that gives what was done a chance of at least 0.0001"),
        ({"sent_propensity": None}, "a sent_propensity from 0 to 1 that gives what was done a chance of at least 0.0001"),
        ({"as_of": "2025-03-03"}, "expected instants in UTC"),
        ({"delay_s": "1 hour"}, "column delay_s is .*, expected numbers"),
        ({"delay_s": pd.Timedelta(hours=1)}, "column delay_s is .*, expected numbers"),
        ({"delay_propensity": "0.5"}, "column delay_propensity is .*, expected numbers"),
        ({"sent_propensity": "0.5"}, "column sent_propensity is .*, expected numbers"),
        ({"dropped_out": "no"}, "column dropped_out is .*, expected true or false"),
        ({"dropped_out": 0.5}, "column dropped_out is .*, expected true or false"),
        ({"open_delays_s": 3_600.0}, "column open_delays_s is .*, expected lists of numbers"),
        ({"open_delays_s": "0s, 1h"}, "column open_delays_s is .*, expected lists of numbers"),
        ({"open_delays_s": [["0", "3600"]] * N_ROWS}, "column open_delays_s is .*, expected lists of numbers"),
        ({"open_delays_s": [[[0.0, 3_600.0]]] * N_ROWS}, "column open_delays_s is .*, expected lists of numbers"),
    ],
)
def test_what_is_missing_or_impossible_is_refused(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        read_trial(written(tmp_path, decisions(**columns)))


def test_the_least_chance_of_a_delay_is_taken(tmp_path: Path) -> None:
    assert set(read_trial(written(tmp_path, decisions(delay_propensity=LEAST_PROPENSITY)))["delay_propensity"]) == {LEAST_PROPENSITY}


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (file := tmp_path / "trial.parquet").write_bytes(b"")
    with pytest.raises(TrainingError, match="cannot be read as Parquet"):
        read_trial(file)


@pytest.mark.parametrize(
    ("table", "error", "said"),
    [
        (decisions().iloc[:0], TooLittleDataError, "0 rows with an action"),
        (decisions(action="none"), TooLittleDataError, "0 rows with an action"),
        (decisions(action="silence", delay_s=60.0), TooLittleDataError, "went after 60 s, expected delays drawn at random"),
        (decisions(dropped_out=True), OneClassError, "one outcome"),
    ],
)
def test_a_trial_that_cannot_show_what_a_delay_does_says_why(table: pd.DataFrame, error: type[TrainingError], said: str) -> None:
    with pytest.raises(error, match=said):
        require_learnable(table)


def test_training_with_a_trial_that_is_not_there_or_without_timing_ends_at_once(onboarding: Product, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with pytest.raises(TrainingError, match="no such file"):
        train_product(onboarding, home, options=Options(trial=tmp_path / "none.parquet"))
    with pytest.raises(BadInputError, match="timing is false"):
        train_product(onboarding, home, options=Options(trial=written(tmp_path, decisions()), timing=False))
