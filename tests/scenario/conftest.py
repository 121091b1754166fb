"""Fixtures of the scenarios: the shipped policy, and a world to decide in."""

from __future__ import annotations

import pytest

from tests.certain import certain_policy
from tests.serving_world import FixedScorer, World


@pytest.fixture(scope="session")
def shipped_policy(onboarding):
    return certain_policy(onboarding)


@pytest.fixture
def world(onboarding, shipped_policy):
    return World(onboarding, shipped_policy, scorer=FixedScorer(said_risk=0.9, said_contributions={"silence": 1.0, "base": -2.0}))
