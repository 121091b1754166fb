"""Another policy is valued from decisions in which chance took part, and only from those."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import RawColumns, read_columns
from features.core.event import Event
from tests.unit.training import synthetic
from training.policy_value import policy_value

PRODUCT = synthetic.product(horizon_days=5)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARMS = ("outreach/email", "none")
STAYS = {"outreach/email": 0.8, "none": 0.4}  # planted
EVEN, SENDS = dict.fromkeys(ARMS, 0.5), {"outreach/email": 1.0, "none": 0.0}


def world(folder: Path, *, n: int = 600, logged: dict[str, float] = EVEN) -> tuple[pd.DataFrame, RawColumns]:
    """Decisions about ``n`` users, by chance, and the log of what followed."""
    rng = np.random.default_rng(7)
    arms = rng.choice(ARMS, size=n, p=[logged[arm] for arm in ARMS])
    stays = rng.random(n) < np.array([STAYS[arm] for arm in arms])
    later = [NOON - timedelta(days=1), NOON + timedelta(days=2)]
    events = [login(f"u{i}", at) for i in range(n) for at in later[: 1 + stays[i]]]
    folder.mkdir(exist_ok=True)
    ParquetRawLog(folder).append([*events, login("last", NOON + timedelta(days=9))])
    rows = pd.DataFrame({"user_id": [f"u{i}" for i in range(n)], "as_of": pd.Timestamp(NOON), "arm": arms})
    return rows.assign(logged=[logged] * n, other=[SENDS] * n), read_columns(folder, PRODUCT)


def login(user_id: str, at: datetime) -> Event:
    return Event(event_id=f"{user_id}{at}", user_id=user_id, kind="login", occurred_at=at, received_at=at)


def test_the_planted_value_and_gain_are_within_their_intervals(tmp_path: Path) -> None:
    decisions, raw = world(tmp_path / "raw")
    value = policy_value(decisions, raw, PRODUCT)
    assert value.other is not None
    assert value.gain is not None
    assert value.other.low < 0.8 < value.other.high
    assert value.gain.low < 0.2 < value.gain.high
    assert (value.rows, value.unsupported) == (600, 0)


def test_without_exploration_nothing_is_estimated_and_it_says_what_to_do(tmp_path: Path) -> None:
    decisions, raw = world(tmp_path / "raw", logged={"outreach/email": 0.0, "none": 1.0})
    value = policy_value(decisions, raw, PRODUCT)
    assert (value.other, value.unsupported) == (None, 600)
    assert "exploration.arm_share" in value.why_not


def test_a_policy_that_differs_little_from_one_without_exploration_is_not_said_to_gain_nothing(tmp_path: Path) -> None:
    """Where both do the same there is nothing to compare, and elsewhere nothing is known: that is no gain of 0."""
    decisions, raw = world(tmp_path / "raw", logged={"outreach/email": 0.0, "none": 1.0})
    other = [SENDS if number < 30 else {"outreach/email": 0.0, "none": 1.0} for number in range(600)]
    value = policy_value(decisions.assign(other=other), raw, PRODUCT)
    assert (value.other, value.gain, value.unsupported) == (None, None, 30)
    assert "left nothing to chance" in value.why_not


@pytest.mark.parametrize("days", [0, 60])
def test_decisions_whose_outcome_is_not_known_are_counted_apart(tmp_path: Path, days: int) -> None:
    decisions, raw = world(tmp_path / "raw", n=50)
    value = policy_value(decisions.assign(as_of=pd.Timestamp(NOON + timedelta(days=days))), raw, PRODUCT)
    assert value.other is None
    assert value.left_out["outcome not known yet"] == (50 if days else 0)
