"""The curve that serving draws in one go equals the one that is computed slot by slot and row by row, for every action."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.timing.benefit import Curve, Slot, benefit_curve
from models.timing.part import TimingModel
from tests.slow_curve import ACTIONS, Person, person, slow_curve, slow_habit, timing_model

N_INPUTS = 6
EXACT = 1e-12
MOOC_S = (0.0, 3_600.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0)
ODD_S = (0.0, 1.0, 1_799.0, 5_000.0, 200_000.0, 1_814_400.0, 9_000_000.0)  # between edges, on the last one, and past it


@pytest.fixture(scope="module")
def model() -> TimingModel:
    return timing_model(N_INPUTS)


def drawn(model: TimingModel, one: Person, delays_s: tuple[float, ...], action: int | None) -> Curve:
    return benefit_curve(model, one.asked(model.receptivity), [Slot(delay_s=delay_s) for delay_s in delays_s], action=action)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("delays_s", [MOOC_S, ODD_S, (0.0,)])
@pytest.mark.parametrize("action", [None, 1, 2])
def test_every_number_is_that_of_the_slow_way(model: TimingModel, seed: int, delays_s: tuple[float, ...], action: int | None) -> None:
    one = person(N_INPUTS, seed)
    curve, slow = drawn(model, one, delays_s, action), slow_curve(model, one, delays_s, action)
    assert curve.action == (None if action is None else ACTIONS[action])
    for slot, numbers in zip(curve.slots, slow, strict=True):
        told = {name: number for name, number in numbers.items() if number is not None}
        assert {name: getattr(slot, name) for name in told} == pytest.approx(told, rel=EXACT, abs=EXACT), slot.delay_s
        assert all(getattr(slot, name) is None for name in numbers.keys() - told)


@pytest.mark.parametrize("n_hours", [0, 1, 150])
def test_the_habit_of_one_is_that_of_the_slow_way(model: TimingModel, n_hours: int) -> None:
    for kernel_h in (1.5, 3.0):
        receptivity = replace(model.receptivity, kernel_h=kernel_h)
        one = person(N_INPUTS, 7, n_hours=n_hours)
        assert one.asked(receptivity).habit[0] == pytest.approx(slow_habit(receptivity, one), rel=EXACT)


def test_actions_have_curves_of_their_own(model: TimingModel) -> None:
    first, second = (drawn(model, person(N_INPUTS, 1), MOOC_S, action) for action in (1, 2))
    assert [slot.still_away for slot in first.slots] == [slot.still_away for slot in second.slots]
    assert all(abs(one.expected - other.expected) > 1e-6 for one, other in zip(first.slots, second.slots, strict=True))


def test_many_at_once_are_as_one_by_one(model: TimingModel) -> None:
    people = [person(N_INPUTS, seed).asked(model.receptivity) for seed in range(5)]
    together = replace(
        people[0],
        **{name: np.concatenate([getattr(one, name) for one in people]) for name in ("encoded", "as_of_us", "utc_offset_s", "habit")},
    )
    action, delays_s = np.array([1, 2, 3, 2, 1]), np.array(MOOC_S)
    away, effects = model.hazard.still_away(together, MOOC_S), model.response.effects(together, action, delays_s)
    for row, one in enumerate(people):
        assert away[row] == pytest.approx(model.hazard.still_away(one, MOOC_S)[0], rel=EXACT)
        assert model.hazard.survival(one)[0][:5] == pytest.approx(model.hazard.still_away(one, model.hazard.edges_s[:5])[0], rel=EXACT)
        alone = model.response.effects(one, action[row : row + 1], delays_s)
        assert effects.members[:, row] == pytest.approx(alone.members[:, 0], rel=EXACT)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("silence",), 2),
        (("we_kept_your_place", "silence"), 2),
        (("slow_start", "silence"), 3),
        (("checking_in",), None),
        (("none",), None),
    ],
)
def test_an_action_is_found_by_the_best_of_its_names(model: TimingModel, names: tuple[str, ...], code: int | None) -> None:
    assert model.response.code_of(names) == code
