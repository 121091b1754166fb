from __future__ import annotations

import numpy as np
import pytest

from training.door import draw_door
from training.errors import SimulationError

Z = 2.576  # of a 99 % interval


@pytest.fixture(scope="module")
def trial():
    return draw_door(n_moments=8_000, seed=4)


def test_the_same_seed_gives_the_same_trial(trial):
    again, other = draw_door(n_moments=8_000, seed=4), draw_door(n_moments=8_000, seed=5)
    assert again.moments.equals(trial.moments)
    assert (again.seconds == trial.seconds).all()
    assert (other.seconds != trial.seconds).any()


def test_guidance_gets_23_points_more_in_within_45_seconds(trial):
    arms = [trial.in_time[trial.guided == shown] for shown in (False, True)]
    alone, guided = (arm.mean() for arm in arms)
    errors = [np.sqrt(arm.mean() * (1.0 - arm.mean()) / len(arm)) for arm in arms]
    assert abs(alone - 0.62) < Z * errors[0]
    assert abs(guided - 0.85) < Z * errors[1]
    assert abs(guided - alone - 0.23) < Z * np.hypot(*errors)
    assert trial.chance.mean(axis=0).tolist() == pytest.approx([0.62, 0.85])


def test_some_are_not_helped_and_some_give_up(trial):
    gain = trial.chance[:, 1] - trial.chance[:, 0]
    assert gain.min() < 0.05
    assert gain.max() > 0.4
    gives_up = np.isinf(trial.seconds)
    assert 0.0 < gives_up.mean() < 0.05
    assert trial.seconds[~gives_up].max() <= 600.0


def test_what_is_known_says_something_and_not_all(trial):
    often = trial.moments["failed"] > 4
    assert trial.chance[often, 0].mean() < trial.chance[~often, 0].mean() - 0.1
    same = trial.moments[["failed", "device", "first_visit"]].apply(tuple, axis=1) == (3, "web", False)
    assert trial.chance[same.to_numpy(), 0].std() > 0.1


def test_arms_are_drawn_as_said():
    trial = draw_door(n_moments=4_000, seed=1, guided_share=0.2)
    assert abs(trial.guided.mean() - 0.2) < 0.02
    assert (trial.propensity == np.where(trial.guided, 0.2, 0.8)).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"n_moments": 0}, "n_moments: got 0"), ({"n_moments": 9, "alone": 1.0}, "alone: got 1.0, expected a share between")],
)
def test_what_cannot_be_is_refused(wrong, said):
    with pytest.raises(SimulationError, match=said):
        draw_door(seed=1, **wrong)
