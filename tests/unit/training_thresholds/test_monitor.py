"""In operation: no alarm while the promise is kept, and after a change an alarm with thresholds that would keep it again."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from training.frame import AS_OF, OUTCOME, USER
from training.thresholds.alert_error import AlertError
from training.thresholds.decisions import RISK, SEGMENT, THRESHOLD
from training.thresholds.errors import TooFewRowsError
from training.thresholds.monitor import WHOLE, alarm_at, by_user, monitor, since_change
from training.thresholds.report import monitor_page
from training.thresholds.solve import Contract

BEGIN, WEEK = datetime(2026, 3, 1, tzinfo=UTC), pd.Timedelta(days=7)
SEGMENTS = ["free", "team"]


def decisions(n_users: int, *, seed: int, change_at: int | None = None) -> pd.DataFrame:
    """Users come one after the other, with a decision a day for some days; from ``change_at`` on risks are too high."""
    rng = np.random.default_rng(seed)
    n_rows = rng.integers(1, 8, n_users)
    user = np.repeat(np.arange(n_users), n_rows)
    day = np.concatenate([np.arange(n) for n in n_rows])
    truth = rng.normal(-0.6, 1.1, n_users)[user] + rng.normal(0, 0.5, len(user))
    shift = np.zeros(len(user)) if change_at is None else 1.2 * (user >= change_at)
    sigmoid = 1 / (1 + np.exp(-truth))
    rows = pd.DataFrame(
        {
            USER: [f"u{number:05d}" for number in user],
            AS_OF: BEGIN + pd.to_timedelta(20 * user, unit="min") + pd.to_timedelta(day, unit="D"),
            RISK: 1 / (1 + np.exp(-(truth + shift))),
            THRESHOLD: 0.62,
            SEGMENT: np.array(SEGMENTS)[user % 2],
            OUTCOME: rng.random(len(user)) < sigmoid,
        }
    )
    return rows.sort_values(AS_OF, ignore_index=True)


def test_a_kept_promise_raises_no_alarm() -> None:
    seen = monitor(decisions(800, seed=1), SEGMENTS, Contract(), horizon=WEEK)
    assert seen.figures.of_stayers.value < 0.15
    assert (seen.alarms, seen.proposal) == ((), None)
    assert [each.name for each in seen.watched] == [WHOLE, *SEGMENTS]
    assert "No alarm" in monitor_page(seen)


def test_a_broken_promise_raises_one_and_proposes_thresholds_that_hold() -> None:
    seen = monitor(decisions(2_000, seed=2, change_at=600), SEGMENTS, Contract(), horizon=WEEK)
    assert seen.watched[0].broken
    assert seen.alarms[0].startswith("everybody: ")
    assert "promised at most 15%" in seen.alarms[0]
    assert seen.proposal is not None
    assert seen.proposal.risk_threshold > 0.62
    fresh = decisions(8_000, seed=3, change_at=0)
    alerted = fresh[RISK].to_numpy() >= seen.proposal.risk_threshold
    assert alerted[~fresh[OUTCOME]].mean() <= 0.15
    assert "Proposal" in monitor_page(seen)


def test_the_alarm_comes_within_some_hundred_users_of_the_change() -> None:
    at = [alarm_at(decisions(2_000, seed=seed, change_at=600), Contract(), horizon=WEEK, alpha=0.05) for seed in range(10)]
    assert all(number is not None and 600 < number < 1_100 for number in at)


def test_the_change_is_found_again() -> None:
    kept = since_change(decisions(2_000, seed=2, change_at=600), Contract())
    changed_at = BEGIN + pd.Timedelta(minutes=20 * 600)  # from then on by and by: the decisions of a user spread over a week
    assert pd.Timedelta(0) < kept[AS_OF].min() - changed_at < pd.Timedelta(days=5)


def test_many_decisions_about_one_user_are_one_user() -> None:
    one = decisions(40, seed=5)
    again = pd.concat([one.assign(**{AS_OF: one[AS_OF] + pd.Timedelta(days=30 * month)}) for month in range(10)], ignore_index=True)
    assert monitor(again, [], Contract(), horizon=WEEK).watched[0].users <= 40


def test_an_earlier_look_saw_the_beginning_of_what_a_later_one_sees() -> None:
    """Whatever had matured by then: else looking often would raise more false alarms than were allowed for."""
    whole = decisions(1_500, seed=6)
    last = [by_user(whole[whole[AS_OF] <= end], AlertError.OF_STAYERS, WEEK) for end in whole[AS_OF].quantile(np.linspace(0.5, 1.0, 8))]
    assert len(last[0][0]) > 20
    for earlier, later in pairwise(last):
        for before, after in zip(earlier, later, strict=True):
            assert len(before) < len(after)
            np.testing.assert_array_equal(before, after[: len(before)])


def test_too_few_known_outcomes_are_refused() -> None:
    with pytest.raises(TooFewRowsError, match="7 users with a decision have a known outcome, expected at least 20"):
        monitor(decisions(7, seed=1), [], Contract(), horizon=WEEK)
