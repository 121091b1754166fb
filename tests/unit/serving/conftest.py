"""Fixtures of the serving tests: the shipped policy, and a world to decide in."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.certain import certain_policy
from tests.serving_world import FixedScorer, World


@pytest.fixture(scope="session")
def shipped_policy(onboarding):
    return certain_policy(onboarding)


@pytest.fixture
def world(onboarding, shipped_policy):
    return World(onboarding, shipped_policy, scorer=FixedScorer(said_risk=0.9, said_contributions={"silence": 1.0, "base": -2.0}))


@pytest.fixture
def receipts(world):
    """Ada is written to, Bob has not consented, nothing is known of Eve."""
    world.person("ada")
    world.person("bob", consent=False)
    for user_id in ("ada", "bob"):
        world.happens(user_id, "login", times=12, ago=timedelta(days=10))
    return [world.answer(user_id).receipt for user_id in ("ada", "bob", "eve")]
