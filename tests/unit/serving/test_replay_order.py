from __future__ import annotations

import numpy as np
import pytest

from serving.replay import Outcome, Replayer
from tests.certain import certain_policy
from tests.serving_world import FixedScorer, World


class ByPosition(FixedScorer):
    """A model to which the order of the features matters, as it does to every real one."""

    def risk(self, vectors, profiles):
        weights = np.arange(1, vectors.shape[1] + 1)
        return 1 / (1 + np.exp(-np.nan_to_num(vectors) @ weights / 1e6))


@pytest.fixture
def world(onboarding):
    return World(onboarding, certain_policy(onboarding), scorer=ByPosition())


def test_the_score_is_computed_again_from_the_features_in_the_catalogues_order(world):
    """A receipt's keys are sorted; the catalogue's are not."""
    world.happens(world.person(), "login", times=5)
    replayer = Replayer(archive=world.archive, ledger=world.ledger, scorer=world.scorer, program=world.program)
    assert replayer.replay(world.answer().receipt).score.outcome is Outcome.SAME
    without = Replayer(archive=world.archive, ledger=world.ledger, scorer=world.scorer)
    assert without.replay(world.answer().receipt).score.outcome is Outcome.NOT_CHECKED
