"""What any Feast client reads of a live timeline is what serving computes: same bytes, same features, to the last bit."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from features.adapters.behaviour import BEHAVIOUR_VIEW, behaviour_source, catalogue_from_json, catalogue_to_json
from features.adapters.feast_objects import declare
from features.adapters.feast_store import FeastProfileStore, FeastTimelineStore
from features.core.event import Event, from_us, to_us
from features.core.kernel import vectors
from features.core.program import compile_program
from features.core.timeline import timeline_from_events
from features.home import Home

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
AS_OF_US = to_us(START + timedelta(days=5, microseconds=123_457))
USERS = ("ada", "bob", "nobody")


def events_of(user_id: str, catalogue, *, step_minutes: int) -> list[Event]:
    kinds = [catalogue.kinds[n % len(catalogue.kinds)] for n in range(60)]
    times = [START + timedelta(minutes=step_minutes * n, microseconds=n) for n in range(60)]
    return [
        Event(
            event_id=str(n),
            user_id=user_id,
            kind=kind.name,
            occurred_at=at,
            received_at=at + timedelta(seconds=n % 3),
            subject=f"subject-{n % 5}" if kind.subject else None,
            value=n * 17 if kind.value_unit else None,
            session_id=f"session-{n // 7}" if n % 2 else None,
        )
        for n, (kind, at) in enumerate(zip(kinds, times, strict=True))
    ]


@pytest.fixture
def timelines(feature_store, onboarding) -> FeastTimelineStore:
    catalogue = onboarding.catalogue
    store = FeastTimelineStore(feature_store, kinds=catalogue.kinds, clock_us=lambda: AS_OF_US + 7)
    store.merge(
        {
            user_id: timeline_from_events(events_of(user_id, catalogue, step_minutes=step), catalogue.kinds)
            for user_id, step in (("ada", 11), ("bob", 131))
        }
    )
    return store


def served(timelines, catalogue) -> np.ndarray:
    """What serving computes."""
    packed = [row.packed for row in timelines.read(USERS)]
    return vectors(packed, np.full(len(USERS), AS_OF_US), compile_program(catalogue))


def assert_same(answer: dict[str, list], expected: np.ndarray, names, prefix: str = "") -> None:
    for position, name in enumerate(names):
        for user, value in enumerate(answer[prefix + name]):
            number = math.nan if value is None else value  # Feast answers null where a feature is not defined
            assert number == expected[user, position] or (math.isnan(number) and math.isnan(expected[user, position])), (name, user)


def entity_rows() -> list[dict]:
    return [{"user_id": user_id, "as_of_us": AS_OF_US} for user_id in USERS]


def test_the_timeline_read_by_us_is_the_one_feast_reads(feature_store, timelines):
    rows = timelines.read(USERS)
    response = feature_store.get_online_features(features=["timeline:packed"], entity_rows=[{"user_id": user_id} for user_id in USERS])
    assert [value or b"" for value in response.to_dict()["packed"]] == [row.packed for row in rows]
    assert all(row.packed for row in rows[:2])
    assert rows[2].packed == b""
    stamps = response.proto.results[response.proto.metadata.feature_names.val[:].index("packed")].event_timestamps
    assert [stamp.ToMicroseconds() for stamp in stamps] == [row.version_us for row in rows] == [AS_OF_US + 7, AS_OF_US + 7, 0]


def test_the_two_ways_in_which_we_read_agree(timelines):
    exact = timelines._read_versioned(USERS)
    assert [(row.packed, row.version_us) for row in exact] == [(row.packed, row.version_us) for row in timelines.read(USERS)]


def test_profiles_read_by_us_are_those_feast_reads(feature_store, onboarding, redis_url):
    store = FeastProfileStore(feature_store, onboarding)
    store.write({"ada": {"plan": "pro", "consent": True}, "bob": {"timezone": "UTC"}}, changed_us=AS_OF_US)
    features = [f"profile:{attribute.name}" for attribute in onboarding.profile]
    answer = feature_store.get_online_features(features=features, entity_rows=[{"user_id": user_id} for user_id in USERS]).to_dict()
    read_by_feast = [
        {attribute.name: value for attribute in onboarding.profile if (value := answer[attribute.name][user]) is not None}
        for user in range(len(USERS))
    ]
    assert read_by_feast == store.read(USERS)


@pytest.mark.parametrize("full_feature_names", [False, True])
def test_every_named_feature_is_readable_by_a_feast_client(feature_store, timelines, onboarding, full_feature_names):
    names = onboarding.catalogue.feature_names
    answer = feature_store.get_online_features(
        features=[f"behaviour:{name}" for name in names], entity_rows=entity_rows(), full_feature_names=full_feature_names
    ).to_dict()
    assert_same(answer, served(timelines, onboarding.catalogue), names, "behaviour__" if full_feature_names else "")


def test_silence_ages_without_a_write(feature_store, timelines, onboarding):
    name = next(name for name in onboarding.catalogue.feature_names if name.startswith("seconds_since_last"))
    rows = [{"user_id": "ada", "as_of_us": AS_OF_US + second * 1_000_000} for second in (0, 10)]
    earlier, later = feature_store.get_online_features(features=[f"behaviour:{name}"], entity_rows=rows).to_dict()[name]
    assert later - earlier == 10


CLIENT = """
import json, sys
from feast import FeatureStore

store = FeatureStore(repo_path=sys.argv[1])
view = store.get_on_demand_feature_view("behaviour")
names = [field.name for field in view.features]
rows = [{"user_id": user, "as_of_us": int(sys.argv[2])} for user in sys.argv[3:]]
answer = store.get_online_features(features=[f"behaviour:{name}" for name in names], entity_rows=rows).to_dict()
print(json.dumps({name: answer[name] for name in names}))
"""


def test_a_client_that_knows_the_registry_alone_reads_every_named_feature(feature_store, timelines, onboarding, redis_url, tmp_path):
    (tmp_path / "feature_store.yaml").write_text(
        f"""
project: {feature_store.project}
provider: local
registry: {feature_store.config.registry.path}
online_store: {{type: features.adapters.feast_online_store.TimelineOnlineStore, redis_url: "{redis_url}"}}
offline_store: {{type: duckdb}}
entity_key_serialization_version: 3
"""
    )
    client = subprocess.run(
        [sys.executable, "-c", CLIENT, str(tmp_path), str(AS_OF_US), *USERS],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert client.returncode == 0, client.stderr
    answer = json.loads(client.stdout)
    assert set(answer) == set(onboarding.catalogue.feature_names)
    assert_same(answer, served(timelines, onboarding.catalogue), onboarding.catalogue.feature_names)


def test_the_function_carries_all_of_its_catalogue(onboarding):
    catalogue = catalogue_from_json(catalogue_to_json(onboarding.catalogue))
    assert catalogue.fingerprint == onboarding.catalogue.fingerprint
    assert catalogue.feature_names == onboarding.catalogue.feature_names
    assert behaviour_source(catalogue) == behaviour_source(onboarding.catalogue)


def test_every_field_says_what_it_is(onboarding, tmp_path):
    objects = declare(onboarding, Home(tmp_path))
    described = {feature.name: feature.description for feature in onboarding.catalogue.features}
    assert {field.name: field.description for field in objects.behaviour.features} == described
    assert not any(tmp_path.iterdir())


def test_as_of_keeps_its_microseconds(feature_store, timelines, onboarding):
    name = next(name for name in onboarding.catalogue.feature_names if name.startswith("seconds_since_last"))
    rows = [{"user_id": "ada", "as_of_us": AS_OF_US + step} for step in (0, 1)]
    first, second = feature_store.get_online_features(features=[f"{BEHAVIOUR_VIEW}:{name}"], entity_rows=rows).to_dict()[name]
    assert round((second - first) * 1_000_000) == 1
    assert from_us(AS_OF_US).microsecond == 123_457
