"""Nothing is called moved where nothing moved, and what was moved on purpose is found."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from tests.unit.training import synthetic
from training.drift.compare import LABEL, PREDICTION, Drift, Kind, Pair, Tolerance, compare, one_row_each
from training.drift.errors import TooFewLiveRowsError
from training.drift.two_sample import Adjustment
from training.frame import AS_OF, OUTCOME, USER

PRODUCT = synthetic.product()
FEATURES = list(PRODUCT.catalogue.feature_names)
SENSITIVE = Tolerance(psi_from=0.0)  # every significant difference counts, however small


def rows(n_users: int, rng: np.random.Generator, *, start: int = 0) -> pd.DataFrame:
    """Three rows of each user, alike; counts that overlap, one that is often missing, a plan, a risk, an outcome."""
    level = rng.gamma(2.0, 1.0, n_users)
    numbers = {name: rng.poisson(level * (1 + i % 4)).astype(float) for i, name in enumerate(FEATURES)}
    table = pd.DataFrame(numbers)
    table.loc[rng.random(n_users) < 0.3, "seconds_since_last_use"] = np.nan
    table["plan"] = rng.choice(["free", "team", None], n_users, p=[0.6, 0.3, 0.1])
    table["invited"] = rng.random(n_users) < 0.4
    table["risk"] = rng.beta(2, 3, n_users)
    table[OUTCOME] = rng.random(n_users) < table["risk"]
    table[USER] = [f"u{start + number}" for number in range(n_users)]
    table[AS_OF] = datetime(2026, 3, 1, tzinfo=UTC)
    return pd.concat([table, table, table], ignore_index=True)


def drift_of(then: pd.DataFrame, now: pd.DataFrame, tolerance: Tolerance | None = None) -> Drift:
    return compare(PRODUCT, [Pair(reference=then, current=now)], tolerance)


@pytest.mark.parametrize("adjustment", list(Adjustment))
def test_where_nothing_moved_hardly_ever_anything_is_called_moved(adjustment: Adjustment) -> None:
    rng = np.random.default_rng(2)
    tolerance = Tolerance(psi_from=0.0, adjustment=adjustment)
    false = [bool(drift_of(rows(150, rng), rows(150, rng, start=1_000), tolerance).moved) for _ in range(40)]
    assert np.mean(false) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 40)  # 5 % and chance: that all discoveries are false


def test_a_planted_shift_is_found_and_nothing_else() -> None:
    rng = np.random.default_rng(3)
    then, now = rows(600, rng), rows(600, rng, start=1_000)
    now["count_login_7d"] += 2
    now["plan"] = now["plan"].where(now["plan"] != "free", "trial")
    found = drift_of(then, now)
    assert {each.column for each in found.moved} == {"count_login_7d", "plan"}
    assert found.columns[0].column == "plan"
    assert found.columns[0].size == "major"


def test_a_feature_that_goes_missing_is_found_though_its_values_are_as_before() -> None:
    rng = np.random.default_rng(4)
    then, now = rows(600, rng), rows(600, rng, start=1_000)
    now.loc[now[USER].isin([f"u{1_000 + i}" for i in range(0, 600, 2)]), "seconds_since_last_use"] = np.nan
    moved = [each for each in drift_of(then, now).moved if each.kind is Kind.MISSING]
    assert [each.column for each in moved] == ["seconds_since_last_use"]
    assert moved[0].current_missing > moved[0].reference_missing + 0.2


def test_predictions_and_outcomes_are_compared_too() -> None:
    rng = np.random.default_rng(5)
    then, now = rows(600, rng), rows(600, rng, start=1_000)
    now["risk"] = now["risk"] ** 0.4
    now[OUTCOME] = True
    assert {PREDICTION, LABEL} <= {each.column for each in drift_of(then, now).moved}


def test_pairs_may_have_other_rows_and_are_accounted_for_together() -> None:
    rng = np.random.default_rng(6)
    then, now = rows(300, rng), rows(300, rng, start=1_000)
    parts = [Pair(reference=then, current=now, columns=("plan",)), Pair(reference=then, current=now, columns=("risk",))]
    found = compare(PRODUCT, parts, SENSITIVE)
    assert {each.column for each in found.columns} == {"plan", PREDICTION}
    assert all(each.adjusted >= each.p_value for each in found.columns)


def test_a_small_move_is_shown_and_does_not_count() -> None:
    rng = np.random.default_rng(7)
    then, now = rows(6_000, rng), rows(6_000, rng, start=10_000)
    now["risk"] = np.clip(now["risk"] + 0.02, 0, 1)
    risk = next(each for each in drift_of(then, now).columns if each.column == PREDICTION)
    assert risk.adjusted < 0.05
    assert (risk.size, risk.moved) == ("small", False)


def test_rows_of_one_user_are_one_row() -> None:
    many = rows(80, np.random.default_rng(8))
    assert len(one_row_each(many)) == 80
    assert drift_of(many, many).current_users == 80


def test_too_few_live_users_are_refused() -> None:
    rng = np.random.default_rng(9)
    with pytest.raises(TooFewLiveRowsError, match="12 users in the current rows, expected at least 50"):
        drift_of(rows(100, rng), rows(12, rng, start=1_000))
