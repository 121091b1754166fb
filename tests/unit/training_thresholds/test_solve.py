"""Solved thresholds hold their bound on users they have not seen, and say where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from training.thresholds.alert_error import AlertError, Evidence
from training.thresholds.errors import BadOptionError, TooFewRowsError, UnattainableBoundError
from training.thresholds.pooling import pooled, prior_strength
from training.thresholds.rows import AlertRows, alert_rows
from training.thresholds.solve import Basis, Contract, alerted_by, solve

SEGMENTS = {"big": (0.55, 0.0), "middle": (0.3, 0.5), "small": (0.13, -0.4), "tiny": (0.02, 0.0)}  # share of users, shift in log-odds


def drawn(n_users: int, seed: int) -> AlertRows:
    """Users with several rows each, whose risk is right and differs between segments."""
    rng = np.random.default_rng(seed)
    names = rng.choice(list(SEGMENTS), size=n_users, p=[share for share, _ in SEGMENTS.values()])
    personal = rng.normal(-0.5, 1.0, n_users) + np.array([SEGMENTS[name][1] for name in names])
    user = np.repeat(np.arange(n_users), rng.integers(1, 9, n_users))
    risk = 1 / (1 + np.exp(-(personal[user] + rng.normal(0, 0.8, len(user)))))
    return alert_rows(user, names[user].tolist(), risk, rng.random(len(user)) < risk)


FRESH = drawn(20_000, seed=99)


def true_error(risk_threshold: float, segment_thresholds: dict[str, float], segment: str | None = None) -> float:
    rows = FRESH if segment is None else FRESH.of(segment)
    return float(alerted_by(rows, risk_threshold, segment_thresholds)[~rows.dropped_out].mean())


def test_the_bound_holds_for_everybody_and_for_each_segment_in_nearly_every_cohort() -> None:
    held = []
    for seed in range(40):
        solved = solve(drawn(350, seed), list(SEGMENTS))
        errors = [true_error(solved.risk_threshold, {})]
        errors += [true_error(solved.risk_threshold, solved.segment_thresholds, name) for name in SEGMENTS]
        held.append(max(errors) <= 0.15)
    assert np.mean(held) >= 0.93


def test_a_lower_bound_and_more_confidence_raise_the_threshold() -> None:
    rows = drawn(500, seed=3)
    usual = solve(rows, []).risk_threshold
    assert solve(rows, [], Contract(bound=0.05)).risk_threshold > usual
    assert solve(rows, [], Contract(confidence=0.999)).risk_threshold > usual
    assert solve(rows, [], Contract(bound=0.3)).risk_threshold < usual


def test_a_segment_without_enough_users_gets_the_strictest_threshold_and_is_named() -> None:
    solved = solve(drawn(350, seed=5), list(SEGMENTS))
    tiny = next(each for each in solved.segments if each.segment == "tiny")
    assert tiny.basis is Basis.NOT_ENOUGH
    assert solved.undecided == ["tiny"]
    assert tiny.threshold == max(solved.risk_threshold, *solved.segment_thresholds.values())


def test_a_segment_that_no_row_is_in_is_no_failure() -> None:
    assert solve(drawn(350, seed=5), [*SEGMENTS, "nobody"]).undecided == ["tiny", "nobody"]


def test_a_small_segment_leans_on_the_others_and_a_large_one_does_not() -> None:
    solved = {each.segment: each for each in solve(drawn(800, seed=8), list(SEGMENTS)).segments}
    assert solved["big"].own_weight > solved["small"].own_weight
    assert solved["big"].basis is Basis.OWN
    assert solved["big"].own_upper <= 0.15


def test_with_the_other_definition_alerts_are_mostly_right() -> None:
    solved = solve(drawn(2000, seed=4), [], Contract(error=AlertError.OF_ALERTS, bound=0.4))
    alerted = FRESH.risk >= solved.risk_threshold
    assert (~FRESH.dropped_out[alerted]).mean() <= 0.4
    assert solved.whole.of_alerts.high < 0.45


def test_an_error_that_cannot_be_promised_is_refused() -> None:
    with pytest.raises(UnattainableBoundError, match=r"no threshold keeps of_alerts at or below 1%"):
        solve(drawn(300, seed=4), [], Contract(error=AlertError.OF_ALERTS, bound=0.01))


def test_too_few_users_are_refused_with_their_number() -> None:
    with pytest.raises(TooFewRowsError, match=r"\d+ users with a known outcome stayed, expected at least 20"):
        solve(drawn(12, seed=1), [])


@pytest.mark.parametrize("wrong", [{"bound": 15}, {"confidence": 1.0}, {"least_users": 0}])
def test_an_option_outside_its_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadOptionError, match=next(iter(wrong))):
        Contract(**wrong)


def test_segments_that_are_alike_count_for_more_than_segments_that_differ() -> None:
    def seen(hits: float) -> Evidence:
        return Evidence(hits=hits, n=100.0, rows=100, users=100)

    assert prior_strength([seen(10), seen(11), seen(9), seen(10)]) > prior_strength([seen(2), seen(30), seen(9), seen(20)])
    assert prior_strength([seen(10), seen(11)]) == 2.0  # of two segments one cannot tell
    assert pooled(seen(0), 0.5, 0.0).hits == 0
