"""What every PersonStore promises: over separate stores in memory, over one Redis asked once, and over two Redis servers."""

from __future__ import annotations

import itertools
import socket
from dataclasses import dataclass, replace
from typing import Any

import pytest

from features.adapters.embedded_redis import EmbeddedRedis
from features.adapters.feast_online_store import user_keys
from features.adapters.feast_rows import FeastRows
from features.adapters.feast_store import FeastProfileStore, FeastTimelineStore, open_store
from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.memory_identities import MemoryIdentityStore
from features.adapters.redis_identities import RedisIdentityStore
from features.core.alias import Alias
from features.core.event import Event
from features.core.timeline import pack, timeline_from_events
from features.home import Home
from serving.adapters.memory_ledger import MemoryLedger
from serving.adapters.person_store import RedisPersonStore
from serving.adapters.redis_ledger import RedisLedger, connect, user_prefix
from serving.adapters.separate_stores import SeparateStores
from serving.decision.ids import user_tag
from serving.ports import Commit, LedgerError, StoredPerson
from tests.serving_world import NOON, contact

NOON_US = int(NOON.timestamp()) * 1_000_000
NAME = "onboarding"
_numbers = itertools.count(1)


@dataclass(kw_only=True)
class Stores:
    timelines: Any
    profiles: Any
    identities: Any
    ledger: Any
    people: Any
    kinds: Any

    def person(self, user_id, *, n_events=1, **attributes):
        events = [
            Event(event_id=f"{user_id}{n}", user_id=user_id, kind="login", occurred_at=NOON, received_at=NOON) for n in range(n_events)
        ]
        timeline = timeline_from_events(events, self.kinds)
        self.timelines.merge({user_id: timeline})
        self.profiles.write({user_id: {"consent": True, **attributes}}, changed_us=NOON_US)
        return pack(timeline)

    def contacted(self, user_id, at_us=NOON_US):
        sent = contact(at_us=at_us, decision_id=f"d{next(_numbers)}")
        self.ledger.commit(
            NAME, Commit(decision_id=sent.decision_id, user_id=user_id, receipt=b"{}", timeline_hash="", timeline=b"", contact=sent)
        )
        return sent

    def attach(self, previous_id, user_id):
        assert self.identities.claim(Alias(previous_id=previous_id, user_id=user_id, occurred_at=NOON, received_at=NOON)) is None

    def read(self, *user_ids, since_us=0):
        return self.people.read(user_ids, since_us=since_us)


def in_memory(onboarding):
    parts = {
        "timelines": MemoryTimelineStore(kinds=onboarding.catalogue.kinds, clock_us=lambda: NOON_US),
        "profiles": MemoryProfileStore(),
        "identities": MemoryIdentityStore(),
        "ledger": MemoryLedger(),
    }
    return Stores(**parts, people=SeparateStores(product=NAME, **parts), kinds=onboarding.catalogue.kinds)


def in_redis(onboarding, store, client):
    identities, ledger = RedisIdentityStore(client, product=NAME), RedisLedger(client=client)
    return Stores(
        timelines=FeastTimelineStore(store, kinds=onboarding.catalogue.kinds, clock_us=lambda: NOON_US),
        profiles=FeastProfileStore(store, onboarding),
        identities=identities,
        ledger=ledger,
        people=RedisPersonStore(product=NAME, identities=identities, ledger=ledger, rows=FeastRows(store, onboarding)),
        kinds=onboarding.catalogue.kinds,
    )


@pytest.fixture(scope="module")
def other_redis(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("other")) as server:
        yield server.url


@pytest.fixture(params=["memory", "one redis", "two redis"])
def stores(request, onboarding):
    if request.param == "memory":
        yield in_memory(onboarding)
        return
    store = request.getfixturevalue("feature_store")
    url = request.getfixturevalue("redis_url" if request.param == "one redis" else "other_redis")
    with connect(url, timeout_ms=5_000) as client:
        if request.param == "two redis":
            client.flushall()
        yield in_redis(onboarding, store, client)


@pytest.fixture
def one_redis(onboarding, feature_store, redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        yield in_redis(onboarding, feature_store, client)


def test_a_person_comes_back_whole_and_a_stranger_is_somebody_of_whom_nothing_is_known(stores):
    packed, sent = stores.person("ada", plan="pro", timezone="Europe/Zürich"), stores.contacted("ada")
    stranger = StoredPerson(user_id="nobody", is_erased=False, timeline=b"", profile={}, contacts=())
    profile = {"consent": True, "plan": "pro", "timezone": "Europe/Zürich"}
    ada = StoredPerson(user_id="ada", is_erased=False, timeline=packed, profile=profile, contacts=(sent,))
    assert stores.read("nobody", "ada", "nobody") == [stranger, ada, stranger]
    assert stores.read() == []


def test_contacts_begin_where_asked_oldest_first(stores):
    for at_us in (NOON_US, NOON_US - 1, NOON_US - 2):
        stores.contacted("ada", at_us=at_us)
    (ada,) = stores.read("ada", since_us=NOON_US - 1)
    assert [sent.at_us - NOON_US for sent in ada.contacts] == [-1, 0]


def test_an_id_stands_for_the_end_of_its_chain(stores):
    packed, sent = stores.person("ada", n_events=3), stores.contacted("ada")
    stores.person("phone", plan="free")
    stores.attach("phone", "laptop")
    stores.attach("laptop", "ada")
    ada = StoredPerson(user_id="ada", is_erased=False, timeline=packed, profile={"consent": True}, contacts=(sent,))
    of_laptop, of_phone = (replace(ada, previous_ids=ids) for ids in (("laptop",), ("phone", "laptop")))
    assert stores.read("phone", "laptop", "ada", "phone") == [of_phone, of_laptop, ada, of_phone]


@pytest.mark.parametrize("asked", ["phone", "ada"])
def test_who_was_erased_is_known_under_each_id(stores, asked):
    stores.attach("phone", "ada")
    stores.identities.mark_erased("ada")
    (person,) = stores.read(asked)
    assert (person.user_id, person.is_erased) == ("ada", True)


def test_many_users_are_many_users(stores):
    packed = {f"user-{number}": stores.person(f"user-{number}", n_events=1 + number % 3) for number in range(0, 1_200, 100)}
    user_ids = [f"user-{number}" for number in range(1_200)]
    assert [person.timeline for person in stores.read(*user_ids)] == [packed.get(user_id, b"") for user_id in user_ids]


def test_what_is_read_at_once_is_what_the_stores_and_feast_itself_read(one_redis, onboarding, feature_store):
    user_ids = ["ada", "bob", "nobody"]
    one_redis.person("ada", n_events=5, plan="", timezone="UTC")
    one_redis.person("bob", consent=False)
    one_redis.profiles.write({"bob": {"plan": None}}, changed_us=NOON_US + 1)
    people = one_redis.read(*user_ids)
    assert [person.timeline for person in people] == [row.packed for row in one_redis.timelines.read(user_ids)]
    assert [person.profile for person in people] == one_redis.profiles.read(user_ids)
    names = [attribute.name for attribute in onboarding.profile]
    asked = ["timeline:packed", *(f"profile:{name}" for name in names)]
    feast = feature_store.get_online_features(asked, [{"user_id": user_id} for user_id in user_ids]).to_dict()
    for place, person in enumerate(people):
        assert (feast["packed"][place] or b"") == person.timeline
        assert {name: feast[name][place] for name in names if feast[name][place] is not None} == person.profile


def test_the_ledgers_own_contacts_are_those_that_are_read_at_once(one_redis):
    one_redis.contacted("ada")
    (ada,) = one_redis.read("ada")
    assert ada.contacts == one_redis.ledger.contacts(NAME, "ada", since_us=0)


@pytest.mark.parametrize("damage", ["timeline", "profile", "row timestamp", "key", "contacts"])
def test_what_cannot_be_read_is_missing_and_costs_nobody_else_theirs(one_redis, feature_store, damage):
    for user_id in ("ada", "bob"):
        one_redis.person(user_id)
        one_redis.contacted(user_id)
    (key,), client = user_keys(feature_store.config, ["ada"]), one_redis.ledger.client
    fields = one_redis.people.rows.commands(["ada"])[0][2:]
    match damage:
        case "timeline":
            client.hset(key, fields[0], b"\xff\xff")
        case "profile":
            client.hset(key, fields[1], b"\xff\xff")
        case "row timestamp":
            client.hset(key, fields[-1], b"\xff\xff")
        case "key":
            client.delete(key)
            client.set(key, "no hash")
        case "contacts":
            contacts = f"{user_prefix(NAME, user_tag('ada'))}:contacts"
            client.delete(contacts)
            client.set(contacts, "no sorted set")
    missing = {"row timestamp": {"profile"}, "key": {"timeline", "profile"}}.get(damage, {damage})
    ada, bob = one_redis.read("ada", "bob")
    assert {name for name in ("timeline", "profile", "contacts") if getattr(ada, name) is None} == missing
    assert None not in (bob.timeline, bob.profile, bob.contacts)


def test_who_cannot_be_told_apart_has_no_contacts_so_that_nothing_is_sent(one_redis):
    one_redis.person("ada")
    one_redis.ledger.client.set(f"stillhere:{{{NAME}:alias}}:erased", "no set")
    (ada,) = one_redis.read("ada")
    assert (ada.user_id, ada.contacts, ada.profile) == ("ada", None, {"consent": True})


def test_a_ledger_that_may_forget_has_no_contacts(one_redis):
    def refuse():
        raise LedgerError("evicts")

    ledger = RedisLedger(client=one_redis.ledger.client, require_durable=refuse)
    people = RedisPersonStore(product=NAME, identities=one_redis.identities, ledger=ledger, rows=one_redis.people.rows)
    one_redis.person("ada")
    (ada,) = people.read(["ada"], since_us=0)
    assert (ada.contacts, ada.profile) == (None, {"consent": True})


@pytest.fixture
def silent_url():
    """Where something listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.mark.parametrize("silent", ["ledger", "features", "both"])
def test_a_silent_server_leaves_an_answer_without_contacts(onboarding, feature_store, redis_url, silent_url, tmp_path, silent):
    store = open_store(onboarding, Home(tmp_path), silent_url, timeout_s=0.05) if silent != "ledger" else feature_store
    with connect(redis_url if silent == "features" else silent_url, timeout_ms=50) as client:
        ada, bob = in_redis(onboarding, store, client).read("ada", "bob")
    assert (ada.user_id, bob.user_id, ada.contacts, bob.contacts, ada.timeline, ada.profile) == ("ada", "bob", None, None, None, None)


def test_a_refused_connection_of_the_ledger_leaves_what_the_features_say(onboarding, feature_store):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with connect(f"redis://127.0.0.1:{port}/0") as client:
        (ada,) = in_redis(onboarding, feature_store, client).read("ada")
    assert (ada.contacts, ada.timeline, ada.profile) == (None, b"", {})
