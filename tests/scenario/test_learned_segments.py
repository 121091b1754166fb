"""Segments learned from what people do, from timelines through k-means to a decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from features.core.event import to_us
from features.core.kernel import vectors
from models.segments import SegmentModel
from tests.serving_world import NOON, FixedScorer, World, golden_policy
from training.frame import AS_OF, OUTCOME, USER, TrainingFrame
from training.segments import learn_segments

ADVANCED = ("import", "dashboard", "share", "filter", "export", "schedule")


@dataclass(kw_only=True)
class Segmented(FixedScorer):
    """A model whose segments are learned ones."""

    model: SegmentModel

    def segments(self, vectors):
        return self.model.assign(vectors)


def explores(world, user_id, rng, *, day):
    world.happens(user_id, "login", ago=timedelta(days=day))
    world.happens(user_id, "page_view", times=int(rng.integers(2, 6)), subject="home", ago=timedelta(days=day))


def works(world, user_id, rng, *, day):
    world.happens(user_id, "login", ago=timedelta(days=day))
    for name in rng.choice(ADVANCED, size=4, replace=False):
        world.happens(user_id, "feature_used", times=int(rng.integers(1, 4)), subject=str(name), ago=timedelta(days=day))
    world.happens(user_id, "key_action", value=int(rng.integers(20_000, 90_000)), ago=timedelta(days=day))


@pytest.fixture(scope="module")
def population(onboarding):
    """120 power users and 120 explorers in their first week: the world, the frame of their vectors."""
    world, rng = World(onboarding, golden_policy()), np.random.default_rng(11)
    people = [f"{kind}-{number}" for kind in ("power", "explorer") for number in range(120)]
    for user_id in people:
        for day in rng.choice(7, size=int(rng.integers(2, 5)), replace=False).tolist():
            (works if user_id.startswith("power") else explores)(world, user_id, rng, day=day)
    packed = [row.packed for row in world.timelines.read(people)]
    rows = pd.DataFrame(vectors(packed, np.full(len(people), to_us(NOON)), world.program), columns=list(onboarding.catalogue.feature_names))
    rows = rows.assign(**{USER: people, AS_OF: pd.Timestamp(NOON), OUTCOME: False})
    return world, TrainingFrame(product=onboarding, rows=rows, horizon=onboarding.label.horizon)


@pytest.fixture(scope="module")
def learned(population):
    return learn_segments(population[1], seed=2)


def test_s1_05_power_users_and_explorers_are_told_apart_by_what_they_do_alone(population, learned):
    frame = population[1]
    segments = pd.Series(learned.model.assign(frame.vectors))
    is_power = frame.rows[USER].str.startswith("power")
    assert set(segments[is_power]).isdisjoint(segments[~is_power])


def test_s1_06_k_is_chosen_by_silhouette_and_reported(learned):
    best = max(learned.scores, key=lambda score: score.silhouette)
    assert learned.k == best.k
    assert [score.k for score in learned.scores] == [2, 3, 4, 5, 6, 7, 8]


def test_s1_06_the_learned_segment_of_a_decision_follows_behaviour_at_once(population, learned, onboarding, world):
    frame = population[1]
    segments = np.array(learned.model.assign(frame.vectors))
    is_power = frame.rows[USER].str.startswith("power").to_numpy()
    service = world.service_with(world.service.policy, scorer=Segmented(model=learned.model))
    world.service, rng = service, np.random.default_rng(3)
    user_id = world.person()
    explores(world, user_id, rng, day=3)
    explores(world, user_id, rng, day=1)
    before = world.decide()["segments"]["learned"]
    assert before in segments[~is_power]
    for day in (2, 1, 0):
        works(world, user_id, rng, day=day)
    after = world.decide()["segments"]["learned"]
    assert after in segments[is_power]
    assert after != before


def test_s1_08_a_rule_may_ask_for_a_learned_segment(shipped_policy, onboarding, tmp_path, world):
    from serving.policy_file import load_policy
    from tests.serving_world import ROOT

    text = (ROOT / "products" / "onboarding" / "policy.yaml").read_text()
    (tmp_path / "policy.yaml").write_text(
        text.replace('["count_login_failed_2m >= 3"]', '["count_login_failed_2m >= 3", "segment.learned == s2"]')
    )
    policy = load_policy(tmp_path / "policy.yaml", onboarding)
    user_id = world.person()
    world.happens(user_id, "login_failed", times=3)
    for segment, trigger in (("s1", None), ("s2", "repeated_login_failures")):
        world.service = world.service_with(policy, scorer=FixedScorer(said_segment=segment))
        assert world.decide()["trigger"] == trigger
