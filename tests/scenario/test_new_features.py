"""A feature that product.yaml gains: there at once online, rebuilt offline, and no reason to train before the next decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson

from features.core.catalogue import Aggregation, Feature
from features.core.program import compile_program
from models.bundle import load_bundle
from serving.replay import Outcome, Replayer
from tests.small_model import write_small_bundle

GAINED = Feature(aggregation=Aggregation.TREND, of="login", kinds=("login",), window=timedelta(days=9))


def grown(product):
    """The product with one feature more, in the midst of the others."""
    features = product.catalogue.features
    return replace(product, catalogue=replace(product.catalogue, features=(*features[:3], GAINED, *features[3:])))


def receipt_of(service, world):
    return service.decide_one("ada", now_us=int(world.now.timestamp() * 1_000_000)).receipt


def test_a_new_feature_needs_no_backfill_online_and_the_old_model_goes_on(world, onboarding, shipped_policy, tmp_path):
    folder, later = write_small_bundle(onboarding, tmp_path), grown(onboarding)
    world.person()
    world.happens("ada", "login", times=3, ago=timedelta(days=2))
    world.happens("ada", "login", times=1, ago=timedelta(days=12))
    before = orjson.loads(receipt_of(world.service_with(shipped_policy, scorer=load_bundle(folder, onboarding)), world))
    scorer, program = load_bundle(folder, later), compile_program(later.catalogue)
    receipt = receipt_of(world.service_with(shipped_policy, product=later, program=program, scorer=scorer), world)
    after = orjson.loads(receipt)
    assert after["inputs"]["features"][GAINED.name] == 2  # from events that were there before the feature was
    assert after["inputs"]["risk"] == before["inputs"]["risk"]
    assert after["versions"]["features"] == later.catalogue.fingerprint != before["versions"]["features"] == scorer.feature_fingerprint
    report = Replayer(archive=world.archive, ledger=world.ledger, scorer=scorer, program=program).replay(receipt)
    assert [report.decision.outcome, report.score.outcome, report.features.outcome] == [Outcome.SAME] * 3
