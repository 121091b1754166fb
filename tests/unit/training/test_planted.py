from __future__ import annotations

import pytest

from training.errors import SimulationError
from training.planted import ACTIONS, CAUSES, SIZES, Design, Effects, Timing


def test_what_is_planted_are_the_claims():
    assert sorted(SIZES.values()) == [0.25, 0.38, 0.40, 0.41, 0.42]
    assert ("none", *CAUSES) == ACTIONS


def test_every_cause_is_one_that_the_product_has_messages_for(onboarding):
    assert set(CAUSES) <= {cause.name for cause in onboarding.causes if cause.actionable}


def test_plain_effects_are_nothing_but_sizes():
    plain = Effects.plain(timing=Timing.DECAY)
    assert (plain.fatigue, plain.channel_preference, plain.contacts_mean, plain.timing) == (0.0, 0.0, 0.0, Timing.DECAY)
    assert plain.sizes == SIZES


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"fatigue": -1.0}, "Effects.fatigue: got -1.0, expected a number in \\[0, 10\\]"),
        ({"sizes": dict.fromkeys(CAUSES, 0.9)}, "Effects.sizes\\['login_friction'\\]: got 0.9, expected a number in \\[0, 0.6\\]"),
        ({"sizes": {"silence": 0.1}}, "Effects.sizes: got silence, expected a number for each of login_friction"),
        ({"lag_s": dict.fromkeys(CAUSES, 0.0)}, "Effects.lag_s\\['login_friction'\\]: got 0.0, expected a number in \\[1, "),
        ({"receptive_hour": {"web": 3.0}}, "Effects.receptive_hour: got web, expected a number for each of web, ios, android"),
    ],
)
def test_effects_out_of_range_are_refused(wrong, said):
    with pytest.raises(SimulationError, match=said):
        Effects(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"), [({"n_decisions": 0}, "n_decisions: got 0"), ({"control_share": 1.5}, "control_share: got 1.5")]
)
def test_designs_out_of_range_are_refused(wrong, said):
    with pytest.raises(SimulationError, match=said):
        Design(**wrong)
