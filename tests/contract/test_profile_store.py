"""What every ProfileStore promises, over memory and over Feast on Redis."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from features.adapters.feast_store import FeastProfileStore
from features.adapters.memory import MemoryProfileStore
from features.ingest.admission import ProfileChange, admit_identify
from features.ingest.sinks import changes_by_instant
from features.ports import ProfileStore

T0 = 1_772_000_000_000_000


@pytest.fixture(params=["memory", "feast"])
def store(request, onboarding) -> ProfileStore:
    if request.param == "memory":
        return MemoryProfileStore()
    return FeastProfileStore(request.getfixturevalue("feature_store"), onboarding)


def test_an_unknown_user_has_no_attributes(store):
    assert store.read(["nobody"]) == [{}]


def test_attributes_come_back_as_they_were_set_in_the_order_asked_for(store):
    store.write(
        {"ada": {"plan": "pro", "consent": True}, "bob": {"plan": "", "consent": False, "timezone": "Europe/Zürich"}}, changed_us=T0
    )
    assert store.read(["bob", "nobody", "ada", "bob"]) == [
        {"plan": "", "consent": False, "timezone": "Europe/Zürich"},
        {},
        {"plan": "pro", "consent": True},
        {"plan": "", "consent": False, "timezone": "Europe/Zürich"},
    ]


def test_some_attributes_can_be_read_alone(store):
    store.write({"ada": {"plan": "pro", "consent": False}, "bob": {"plan": "free"}}, changed_us=T0)
    assert store.read(["bob", "nobody", "ada"], ["consent"]) == [{}, {}, {"consent": False}]
    assert store.read(["ada"], ["timezone", "plan"]) == [{"plan": "pro"}]


def test_attributes_that_are_not_named_keep_their_value(store):
    store.write({"ada": {"plan": "free", "timezone": "UTC"}}, changed_us=T0)
    store.write({"ada": {"plan": "pro"}}, changed_us=T0 + 1)
    assert store.read(["ada"]) == [{"plan": "pro", "timezone": "UTC"}]


def test_none_unsets_an_attribute(store):
    store.write({"ada": {"plan": "free", "timezone": "UTC"}}, changed_us=T0)
    store.write({"ada": {"plan": None}}, changed_us=T0 + 1)
    assert store.read(["ada"]) == [{"timezone": "UTC"}]
    store.write({"ada": {"plan": "late"}}, changed_us=T0)
    assert store.read(["ada"]) == [{"timezone": "UTC"}]


def test_an_older_change_fills_gaps_and_overwrites_nothing_newer(store):
    store.write({"ada": {"plan": "pro"}}, changed_us=T0 + 10)
    store.write({"ada": {"plan": "free", "timezone": "UTC"}}, changed_us=T0)
    assert store.read(["ada"]) == [{"plan": "pro", "timezone": "UTC"}]


@pytest.mark.parametrize("in_one_batch", [False, True])
def test_a_withdrawal_counts_though_the_clock_that_sent_it_is_slow(store, onboarding, in_one_batch):
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    changes = []
    for consent, sent_minute, received_minute in ((True, 0, 0), (False, -2, 5)):
        occurred_at = (noon + timedelta(minutes=sent_minute)).isoformat()
        item = {"type": "identify", "user_id": "ada", "occurred_at": occurred_at, "traits": {"consent": consent}}
        change = admit_identify(item, onboarding, noon + timedelta(minutes=received_minute))
        assert isinstance(change, ProfileChange)
        changes.append(change)
    for batch in [changes] if in_one_batch else [[change] for change in changes]:
        store.write_history(changes_by_instant(batch))
    assert store.read(["ada"]) == [{"consent": False}]


def test_of_two_changes_at_the_same_instant_the_later_arrival_counts(store):
    store.write({"ada": {"plan": "free"}}, changed_us=T0)
    store.write({"ada": {"plan": "pro"}}, changed_us=T0)
    assert store.read(["ada"]) == [{"plan": "pro"}]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_changes_in_any_order_and_repeated_end_in_the_same_profile(store, order):
    changes = [{"plan": "free", "device": "ios"}, {"plan": "pro", "consent": True}, {"device": "web"}]
    for step in (*order, order[0]):
        store.write({"ada": changes[step]}, changed_us=T0 + step)
    assert store.read(["ada"]) == [{"plan": "pro", "device": "web", "consent": True}]


def test_nothing_asked_nothing_written(store):
    store.write({}, changed_us=T0)
    store.write({"ada": {}}, changed_us=T0)
    assert store.read([]) == []
    assert store.read(["ada"]) == [{}]


def test_concurrent_writers_of_one_user_keep_the_newest_of_every_attribute(store):
    names = ("plan", "device", "cohort", "timezone")
    start = threading.Barrier(8)

    def write(writer: int) -> None:
        start.wait()
        for step in range(25):
            changed = step * 8 + writer
            store.write({"ada": {names[changed % 4]: f"value-{changed:03d}"}}, changed_us=T0 + changed)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert store.read(["ada"]) == [{"plan": "value-196", "device": "value-197", "cohort": "value-198", "timezone": "value-199"}]


def test_a_history_written_at_once_is_what_its_changes_one_by_one_are(store):
    store.write({"ada": {"plan": "pro"}}, changed_us=T0 + 5)
    store.write_history(
        {
            T0 + 10: {"ada": {"device": "web"}, "bob": {"plan": "team"}},
            T0: {"ada": {"plan": "free", "device": "ios"}, "bob": {"plan": "free", "consent": True}},
        }
    )
    assert store.read(["ada", "bob"]) == [{"plan": "pro", "device": "web"}, {"plan": "team", "consent": True}]
    store.write_history({})
