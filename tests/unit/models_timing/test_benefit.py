"""What the curve advises, slot by slot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.timing.benefit import Advice, SlotBenefit, advise, choose_many

NOW = SlotBenefit(
    delay_s=0.0, allowed=True, code="ok", still_away=1.0, receptive=1.0, expected=0.1, low=0.05, high=0.15, gain=0.0, gain_se=0.0
)
EVENING = replace(NOW, delay_s=3_600.0, expected=0.2, gain=0.1, gain_se=0.02)
NIGHT = replace(NOW, delay_s=7_200.0, expected=0.3, gain=0.2, gain_se=0.02)


def test_the_slot_of_greatest_gain_is_chosen() -> None:
    assert advise([NOW, EVENING, NIGHT], is_shown=True) == (Advice.BETTER_SLOT, 2)


def test_a_slot_that_is_not_allowed_is_never_chosen_however_good() -> None:
    quiet = replace(NIGHT, allowed=False, code="quiet_hours")
    assert advise([NOW, EVENING, quiet], is_shown=True) == (Advice.BETTER_SLOT, 1)


def test_a_gain_within_its_uncertainty_is_no_reason_to_wait() -> None:
    unsure = replace(EVENING, gain_se=0.2)
    assert advise([NOW, unsure], is_shown=True) == (Advice.NO_BETTER_TIME, 0)


def test_without_a_shown_effect_of_timing_it_abstains() -> None:
    assert advise([NOW, NIGHT], is_shown=False) == (Advice.NOT_ENOUGH_DATA, 0)


def test_when_now_is_not_allowed_the_first_allowed_slot_is_what_others_must_beat() -> None:
    quiet_now = replace(NOW, allowed=False, code="quiet_hours", gain=-0.1)
    first = replace(EVENING, gain=0.0)
    assert advise([quiet_now, first], is_shown=True) == (Advice.NO_BETTER_TIME, 1)


def test_nothing_allowed_means_no_slot() -> None:
    assert advise([replace(NOW, allowed=False)], is_shown=True) == (Advice.NOTHING_ALLOWED, None)


@pytest.mark.parametrize("is_shown", [True, False])
def test_many_at_once_choose_as_one_by_one(is_shown: bool) -> None:
    rng = np.random.default_rng(5)
    gain, gain_se = rng.normal(0.0, 0.1, (40, 5)), rng.uniform(0.01, 0.1, (40, 5))
    gain[:, 0] = 0.0
    together = choose_many(gain, gain_se, np.zeros(40, dtype=np.int64), is_shown=is_shown)
    for row in range(40):
        slots = [replace(NOW, gain=float(g), gain_se=float(se)) for g, se in zip(gain[row], gain_se[row], strict=True)]
        assert advise(slots, is_shown=is_shown)[1] == together[row]
