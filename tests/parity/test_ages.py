"""The age of a profile's instant is one number: in a training row through Feast's join, in a live decision, and in its replay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.adapters.feast_objects import snapshots_schema
from features.adapters.feast_store import FeastProfileStore, historical, open_store
from features.core.event import to_us
from features.core.product import AttributeType
from features.home import Home
from features.ingest.admission import admit_identify
from features.ports import StoreError
from models.signature import ModelAttribute, Signature
from serving.replay import Outcome, Replayer
from tests.certain import certain_policy
from tests.serving_world import NOON, FixedScorer, World
from training.dataset import frame_of
from training.frame import AS_OF, causes_of, learn_signature

AGE = "seconds_since_signup_at"
SIGNED_UP = "2026-02-27T23:30:00.250001+05:30"


class SeesProfiles(FixedScorer):
    """Remembers the profiles that it was shown; its risk depends on the age alone."""

    def risk(self, vectors, profiles):
        self.shown = list(profiles)
        return np.array([0.9 if AGE not in p else min(0.9, p[AGE] / 1e7) for p in profiles])


@pytest.fixture
def store(onboarding, tmp_path, redis_url):
    return open_store(onboarding, Home(tmp_path), redis_url)


def identify(profiles, product, user_id, at, **traits):
    change = admit_identify({"type": "identify", "user_id": user_id, "occurred_at": at.isoformat(), "traits": traits}, product, at)
    profiles.write({user_id: change.attributes}, changed_us=to_us(at))


def training_rows(store, product, tmp_path, as_ofs) -> pd.DataFrame:
    names = product.catalogue.feature_names
    marks = [{"user_id": user, "event_timestamp": at, "snapshot_as_of": at} for user, at in as_ofs]
    rows = [{**mark, "feature_fingerprint": product.catalogue.fingerprint, **dict.fromkeys(names, 0.0)} for mark in marks]
    table = pa.Table.from_pylist(rows, schema=snapshots_schema(product.catalogue))
    pq.write_table(table, Home(tmp_path).snapshots_file(product.name))
    spine = pd.DataFrame({"user_id": [u for u, _ in as_ofs], "event_timestamp": pd.to_datetime([at for _, at in as_ofs], utc=True)})
    joined = historical(store, spine.assign(dropped_out=False)).rename(columns={"event_timestamp": AS_OF})
    return frame_of(product, joined, horizon=timedelta(days=7)).rows.set_index("user_id")


def test_training_serving_and_replay_compute_the_same_age(store, onboarding, tmp_path):
    as_of = NOON + timedelta(microseconds=17)
    profiles = FeastProfileStore(store, onboarding)
    identify(profiles, onboarding, "ada", NOON - timedelta(days=1), signup_at=SIGNED_UP, plan="team", consent=True)
    identify(profiles, onboarding, "bob", NOON - timedelta(days=1), plan="free")
    rows = training_rows(store, onboarding, tmp_path, [("ada", as_of), ("bob", as_of)])

    scorer = SeesProfiles()
    world = World(onboarding, certain_policy(onboarding), scorer=scorer)
    service = world.service_with(world.service.policy, profiles=profiles)
    answers = service.decide_many(["ada", "bob"], now_us=to_us(as_of))

    expected = (to_us(as_of) - to_us(datetime(2026, 2, 27, 18, 0, 0, 250001, tzinfo=UTC))) / 1_000_000
    assert rows.loc["ada", AGE] == scorer.shown[0][AGE] == orjson.loads(answers[0].receipt)["inputs"]["ages"][AGE] == expected
    assert np.isnan(rows.loc["bob", AGE])
    assert AGE not in scorer.shown[1]
    replayer = Replayer(archive=world.archive, ledger=world.ledger, scorer=scorer, program=world.program)
    assert replayer.replay(answers[0].receipt).score.outcome is Outcome.SAME


def test_the_model_is_shown_the_age_and_never_the_instant(store, onboarding, tmp_path):
    as_of = NOON + timedelta(days=3)
    identify(FeastProfileStore(store, onboarding), onboarding, "ada", NOON, signup_at=SIGNED_UP, plan="team", locale="de")
    rows = training_rows(store, onboarding, tmp_path, [("ada", as_of)]).reset_index()
    assert "signup_at" not in rows.columns
    from training.frame import TrainingFrame

    signature = learn_signature(TrainingFrame(product=onboarding, rows=rows, horizon=timedelta(days=7)))
    attributes = {attribute.name: attribute for attribute in signature.attributes}
    assert list(attributes) == ["plan", "device", "cohort", "locale", AGE]
    assert attributes[AGE] == ModelAttribute(name=AGE, type=AttributeType.NUMBER)
    assert causes_of(onboarding)[AGE] == "profile"
    assert Signature.from_json(signature.to_json()) == signature


def test_a_category_never_seen_counts_as_missing(onboarding):
    plan = ModelAttribute(name="plan", type=AttributeType.CATEGORY, categories=("free", "team"))
    signature = Signature(feature_names=(), feature_fingerprint="", attributes=(plan,))
    rows = signature.encode(np.empty((4, 0)), [{"plan": "team"}, {"plan": "galactic"}, {"plan": None}, {}])
    np.testing.assert_array_equal(rows, [[1.0], [np.nan], [np.nan], [np.nan]])


def test_an_instant_without_an_offset_is_refused_at_every_border(store, onboarding):
    rejection = admit_identify(
        {"type": "identify", "user_id": "ada", "occurred_at": NOON.isoformat(), "traits": {"signup_at": "2026-02-27T23:30:00"}},
        onboarding,
        NOON,
    )
    assert (rejection.code, rejection.field) == ("bad_attribute", "traits.signup_at")
    with pytest.raises(StoreError, match="expected a instant"):
        FeastProfileStore(store, onboarding).write({"ada": {"signup_at": "yesterday"}}, changed_us=1)
