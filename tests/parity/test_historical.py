"""The point-in-time join: a training row sees its own instant, nothing later, and nothing older in its place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.adapters.feast_objects import snapshots_schema
from features.adapters.feast_store import FeastProfileStore, SnapshotMissingError, historical, materialize_profiles, open_store
from features.adapters.profile_history import ProfileHistory
from features.core.event import to_us
from features.home import Home
from features.ingest.admission import ProfileChange, admit_identify
from features.ingest.sinks import changes_by_instant

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def store(onboarding, home, redis_url):
    return open_store(onboarding, home, redis_url)


def write_snapshots(home, product, rows, *, fingerprint=None) -> None:
    """Snapshot rows (user, as_of, event_timestamp); the number of the row is the value of each feature."""
    names = product.catalogue.feature_names
    table = pa.Table.from_pylist(
        [
            {
                "user_id": user_id,
                "event_timestamp": at,
                "snapshot_as_of": as_of,
                "feature_fingerprint": fingerprint or product.catalogue.fingerprint,
                **dict.fromkeys(names, float(number)),
            }
            for number, (user_id, as_of, at) in enumerate(rows)
        ],
        schema=snapshots_schema(product.catalogue),
    )
    pq.write_table(table, home.snapshots_file(product.name))


def spine_of(*rows) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": [user_id for user_id, _ in rows],
            "event_timestamp": pd.to_datetime([at for _, at in rows], utc=True),
            "label": [number % 2 for number in range(len(rows))],
        }
    )


def test_each_row_gets_the_snapshot_of_its_own_instant_in_the_order_of_the_spine(store, home, onboarding):
    instants = [START + DAY * n + timedelta(microseconds=n) for n in range(3)]
    write_snapshots(home, onboarding, [(user_id, at, at) for user_id in ("ada", "bob") for at in instants])
    spine = spine_of(*[(user_id, at) for at in reversed(instants) for user_id in ("bob", "ada")])
    rows = historical(store, spine)
    name = onboarding.catalogue.feature_names[0]
    assert list(rows[name]) == [5.0, 2.0, 4.0, 1.0, 3.0, 0.0]
    assert list(rows["user_id"]) == list(spine["user_id"])
    assert list(rows["event_timestamp"]) == list(spine["event_timestamp"])
    assert list(rows["label"]) == list(spine["label"])
    assert set(onboarding.catalogue.feature_names) <= set(rows.columns)


def test_a_row_sees_the_profile_of_its_instant_and_no_later_change(store, home, onboarding):
    instants = [START + DAY * n for n in range(5)]
    write_snapshots(home, onboarding, [("ada", at, at) for at in instants])
    profiles = FeastProfileStore(store, onboarding)
    profiles.write({"ada": {"plan": "pro"}}, changed_us=to_us(START + 3 * DAY))  # arrives first, happened last
    profiles.write({"ada": {"plan": "free", "timezone": "UTC", "consent": True}}, changed_us=to_us(START + DAY))
    profiles.write({"ada": {"timezone": None}}, changed_us=to_us(START + 2 * DAY + timedelta(hours=1)))
    rows = historical(store, spine_of(*[("ada", at) for at in instants]))
    assert [None if pd.isna(value) else value for value in rows["plan"]] == [None, "free", "free", "pro", "pro"]
    assert [None if pd.isna(value) else value for value in rows["timezone"]] == [None, "UTC", "UTC", None, None]
    assert [None if pd.isna(value) else bool(value) for value in rows["consent"]] == [None, True, True, True, True]


def test_an_identify_that_is_dated_back_is_not_seen_by_rows_before_it_was_received(store, home, onboarding):
    received_at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    item = {"type": "identify", "user_id": "ada", "occurred_at": "2026-02-23T09:00:00Z", "traits": {"plan": "pro"}}
    change = admit_identify(item, onboarding, received_at)
    assert isinstance(change, ProfileChange)
    profiles = FeastProfileStore(store, onboarding)
    profiles.write_history(changes_by_instant([change]))
    instants = [datetime(2026, 2, 25, tzinfo=UTC), received_at - timedelta(microseconds=1), received_at]
    write_snapshots(home, onboarding, [("ada", at, at) for at in instants])
    rows = historical(store, spine_of(*[("ada", at) for at in instants]))
    assert [None if pd.isna(value) else value for value in rows["plan"]] == [None, None, "pro"]
    assert profiles.read(["ada"]) == [{"plan": "pro"}]


@pytest.mark.parametrize("late_by", [DAY, timedelta(milliseconds=500), timedelta(microseconds=1)], ids=str)
def test_an_older_snapshot_never_takes_the_place_of_a_missing_one(store, home, onboarding, late_by):
    write_snapshots(home, onboarding, [("ada", START, START)])
    with pytest.raises(SnapshotMissingError, match="1 of 2 training rows have no snapshot at their own as_of"):
        historical(store, spine_of(("ada", START), ("ada", START + late_by)))


def test_a_snapshot_filed_under_another_instant_than_its_own_is_refused(store, home, onboarding):
    write_snapshots(home, onboarding, [("ada", START - DAY, START)])
    with pytest.raises(SnapshotMissingError):
        historical(store, spine_of(("ada", START)))


def test_a_snapshot_by_another_catalogue_is_refused(store, home, onboarding):
    write_snapshots(home, onboarding, [("ada", START, START)], fingerprint="0123456789abcdef")
    with pytest.raises(SnapshotMissingError, match=rf"(?s)by catalogue {onboarding.catalogue.fingerprint}.*0123456789abcdef"):
        historical(store, spine_of(("ada", START)))


def test_snapshots_without_the_columns_of_the_catalogue_are_refused_in_plain_words(store, home):
    pq.write_table(
        pq.read_table(home.snapshots_file("onboarding")).select(["user_id", "event_timestamp"]), home.snapshots_file("onboarding")
    )
    with pytest.raises(SnapshotMissingError, match=r"has no column .* missing in all\): it was written for another catalogue"):
        historical(store, spine_of(("ada", START)))


def test_refused_rows_are_reported_and_left_out_when_asked(store, home, onboarding):
    write_snapshots(home, onboarding, [("ada", START, START), ("bob", START, START)])
    refused = []
    rows = historical(store, spine_of(("ada", START), ("nobody", START), ("bob", START + DAY), ("bob", START)), on_refused=refused.append)
    assert list(rows["user_id"]) == ["ada", "bob"]
    assert list(refused[0]["user_id"]) == ["nobody", "bob"]


def test_no_snapshots_at_all_is_an_error_not_an_empty_answer(store):
    with pytest.raises(SnapshotMissingError, match="1 of 1"):
        historical(store, spine_of(("ada", START)))


def test_profiles_come_back_from_the_history_after_the_loss_of_redis(store, onboarding, redis_url):
    profiles = FeastProfileStore(store, onboarding)
    profiles.write({"ada": {"plan": "free", "consent": True}, "bob": {"plan": "team"}}, changed_us=to_us(START))
    profiles.write({"ada": {"plan": "pro"}}, changed_us=to_us(START + DAY))
    before = profiles.read(["ada", "bob"])
    store.provider.online_store._get_client(store.config.online_store).flushall()
    profiles.write({"bob": {"plan": "newer"}}, changed_us=to_us(START + 9 * DAY))
    materialize_profiles(store, until=START + 2 * DAY)
    assert profiles.read(["ada", "bob"]) == [before[0], {"plan": "newer"}]
    materialize_profiles(store)
    assert profiles.read(["ada", "bob"]) == [before[0], {"plan": "newer"}]


def test_the_history_is_rebuilt_only_when_there_is_something_new(onboarding, tmp_path):
    file = tmp_path / "profiles.parquet"
    history = ProfileHistory(file, {"plan": pa.string(), "n'\"x": pa.float64()})
    history.refresh()
    assert pq.read_table(file).num_rows == 0
    history.append({"ada": {"plan": "it's", "n'\"x": 0.1}}, changed_us=1)
    history.append({"ada": {"n'\"x": -1e300}}, changed_us=1)
    history.append({}, changed_us=2)
    history.refresh()
    first = file.stat().st_ino
    history.refresh()
    assert file.stat().st_ino == first
    more = ProfileHistory(file, {"plan": pa.string(), "n'\"x": pa.float64(), "added": pa.bool_()})
    more.refresh()
    assert pq.read_table(file).column_names == ["user_id", "event_timestamp", "plan", "n'\"x", "added"]
    assert pq.read_table(file).drop("added").to_pylist() == [
        {"user_id": "ada", "event_timestamp": datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "plan": "it's", "n'\"x": -1e300}
    ]
