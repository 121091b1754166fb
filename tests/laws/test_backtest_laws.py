"""Another policy over past decisions does what it would have done live, whatever either says: as long as nobody behaves otherwise."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from serving.carried_contacts import CarriedContacts
from serving.decision.output import output_object
from serving.decision.policy import Cap, Holdout, Policy, RateLimit
from serving.decision.record import inputs_from_json
from serving.policy_file.document import with_hash
from tests.certain import certain_policy
from tests.serving_world import FixedScorer, World

USERS = ("ada", "bob", "eve")


def drawn(base: Policy, rng: random.Random) -> Policy:
    """The shipped policy with other limits, thresholds, rests, quiet hours, holdout."""
    caps = tuple(replace(cap, limit=rng.choice([1, 2, 4])) if rng.random() < 0.5 else cap for cap in base.caps)
    window = timedelta(days=rng.choice([2, 7, 20]))
    wide = Cap(name="wide", limit=rng.choice([1, 2, 3]), window=window, channel=rng.choice([None, "email", "push"]))
    rests = (timedelta(hours=1), timedelta(days=1), timedelta(days=3))
    rate = RateLimit(name="rate", limit=rng.choice([1, 3]), per=timedelta(hours=rng.choice([1, 6, 24])))
    changed = replace(
        base,
        caps=(*caps, wide) if rng.random() < 0.6 else caps,
        messages=tuple(replace(one, cooldown=rng.choice(rests)) if rng.random() < 0.5 else one for one in base.messages),
        risk_threshold=rng.choice([0.1, 0.3, 0.6, 0.9]),
        segment_thresholds={},
        fatigue_window=rng.choice([None, timedelta(days=3), timedelta(days=7)]),
        holdout=rng.choice([None, Holdout(share=0.3, salt="s")]),
        quiet_hours=rng.choice([(), base.quiet_hours]),
        rate_limits=rng.choice([(), (rate,)]),
    )
    return with_hash(changed)


def lived(product, policy, seed):
    """Receipts of two weeks or so; what happens is drawn from the seed alone."""
    rng = random.Random(seed)
    world = World(product, policy, scorer=FixedScorer(said_contributions={}))
    for user_id in USERS:
        zone = rng.choice(["UTC", "Europe/Berlin", "Asia/Tokyo"])
        world.person(user_id, push_opt_in=rng.random() < 0.6, app_installed=True, timezone=zone)
        world.happens(user_id, "login", times=12, ago=timedelta(days=10))
    receipts = []
    for _ in range(80):
        world.later(minutes=rng.choice([20, 200, 600]))
        for user_id in USERS:
            world.scorer.said_risk = rng.random()
            if rng.random() < 0.2:
                world.happens(user_id, "login_failed", times=3)
            receipts.append(world.answer(user_id).receipt)
    return receipts


def done(output):
    return {name: output[name] for name in ("user_id", "as_of", "action", "reason", "message", "moment", "ask_again_at")}


@pytest.mark.parametrize("seed", range(5))
def test_a_backtest_foresees_what_a_policy_does_live(onboarding, seed):
    base, rng = certain_policy(onboarding), random.Random(seed)
    then, now = drawn(base, rng), drawn(base, rng)
    carried, foreseen = CarriedContacts(policy=now), []
    for receipt in lived(onboarding, then, seed):
        recorded = orjson.loads(receipt)
        decision = carried.decide(inputs_from_json(recorded["inputs"]), recorded["output"])
        foreseen.append(done(output_object(decision, recorded["versions"])))
    live = [done(orjson.loads(receipt)["output"]) for receipt in lived(onboarding, now, seed)]
    assert foreseen == live
    assert any(one["action"] == "send" for one in live)
