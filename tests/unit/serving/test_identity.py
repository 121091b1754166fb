from __future__ import annotations

from datetime import timedelta

import pytest

from features.adapters.memory import MemoryProfileStore
from features.adapters.memory_identities import MemoryIdentityStore
from features.core.alias import Alias
from features.core.event import to_us
from features.core.timeline import unpack
from features.ingest.persons import whom
from features.ingest.unified import UnifiedProfileStore
from features.ports import StoredTimeline, StoreError, UnreadableUsersError
from serving.adapters.memory_ledger import MemoryLedger
from serving.api.events import stream_body
from serving.identity import FollowingLedger, foreseen_rejections
from serving.ports import Commit, LedgerError
from tests.serving_world import NOON, contact
from tests.unified_world import Fuse, UnifiedWorld

NOON_US = to_us(NOON)
IDS = ("phone", "laptop", "ada")


def event(number, user_id="phone"):
    at = (NOON - timedelta(seconds=number)).isoformat()
    return {"event_id": f"e{number}", "user_id": user_id, "kind": "login", "occurred_at": at}


def alias(previous_id="phone", user_id="ada", **changes):
    return {"type": "alias", "previous_id": previous_id, "user_id": user_id, "occurred_at": NOON.isoformat(), **changes}


def identify(user_id="ada", **changes):
    return {"type": "identify", "user_id": user_id, "occurred_at": NOON.isoformat(), "traits": {"plan": "free"}, **changes}


def claim(previous_id, user_id):
    return Alias(previous_id=previous_id, user_id=user_id, occurred_at=NOON, received_at=NOON)


def publish(world, *items, late_us=0):
    world.stream.publish([(item["user_id"], stream_body(item, NOON_US + late_us)) for item in items])


def settled(world):
    """Everything in the stream applied by a worker that starts again whenever a store fails."""
    for _ in range(10):
        worker = world.worker()
        try:
            worker.recover()
            while worker.step(block_ms=0):
                pass
            worker.finish()
        except StoreError:
            continue
        if world.stream.backlog() == 0:
            return
    raise AssertionError("the worker never finished")


def story(world):
    """A phone and a laptop with events, traits and a contact; then the chain phone, laptop, ada; then late events of the phone."""
    reserved = contact(at_us=NOON_US, decision_id="d1")
    sent = Commit(decision_id="d1", user_id="phone", receipt=b"{}", timeline_hash="t", timeline=b"", contact=reserved)
    world.ledger.commit(world.product.name, sent)
    publish(world, event(1), event(2, "laptop"), event(3, "ada"), identify("phone", traits={"plan": "team", "device": "mobile"}))
    publish(world, identify(), late_us=1)
    publish(world, alias("phone", "laptop"), identify("ada", anonymous_id="laptop", traits=None), late_us=5)
    publish(world, event(4), late_us=9)
    settled(world)


def test_a_crash_at_any_write_and_another_start_lose_nothing_and_double_nothing(onboarding):
    calm = UnifiedWorld(onboarding, fuse=(counted := Fuse()))
    story(calm)
    expected = calm.contents(*IDS)
    assert unpack(calm.packed("ada")).n_events == 4
    assert calm.stored_profiles.read(["ada"]) == [{"plan": "free", "device": "mobile"}]
    assert [one.decision_id for one in calm.ledger.contacts(onboarding.name, "ada", since_us=0)] == ["d1"]
    assert counted.calls > 12
    for breaks_at in range(1, counted.calls + 1):
        for before in (True, False):
            world = UnifiedWorld(onboarding, fuse=Fuse(breaks_at, before=before))
            story(world)
            assert world.contents(*IDS) == expected, (breaks_at, before)


def test_the_events_of_an_id_are_known_for_the_user_since_the_alias(onboarding):
    world = UnifiedWorld(onboarding)
    publish(world, event(1))
    publish(world, alias(), late_us=5)
    publish(world, event(2), late_us=9)
    settled(world)
    assert sorted(unpack(world.packed("ada")).events[3].tolist()) == [NOON_US + 5, NOON_US + 9]
    assert sorted(unpack(world.packed("phone")).events[3].tolist()) == [NOON_US, NOON_US + 9]


def test_an_id_that_is_attached_elsewhere_is_a_dead_letter_with_its_reason_and_nothing_moves(onboarding):
    world = UnifiedWorld(onboarding)
    publish(world, event(1), alias(), alias("phone", "ben"), alias("ada", "phone"))
    settled(world)
    assert [reason.partition(":")[0] for _, reason in world.stream.dead_letters()] == ["alias_conflict", "alias_cycle"]
    assert world.packed("ben") == b""


def test_the_traits_of_an_identify_count_even_where_its_anonymous_id_is_taken(onboarding):
    world = UnifiedWorld(onboarding)
    publish(world, alias(), identify("ben", anonymous_id="phone"))
    settled(world)
    assert world.stored_profiles.read(["ben"]) == [{"plan": "free"}]
    assert [reason.partition(":")[0] for _, reason in world.stream.dead_letters()] == ["alias_conflict"]


@pytest.mark.parametrize("late_us", [0, 9])
def test_consent_refused_under_any_id_is_refused_until_the_user_consents_again(onboarding, late_us):
    world = UnifiedWorld(onboarding)
    refusal = identify("phone", traits={"consent": False})
    publish(world, identify("ada", traits={"consent": True}))
    if late_us:
        publish(world, alias("phone", "ada"))
        settled(world)
        publish(world, refusal, late_us=late_us)
    else:
        publish(world, refusal, alias("phone", "ada"))
    settled(world)
    assert world.stored_profiles.read(["ada"]) == [{"consent": False}]
    publish(world, identify("ada", traits={"consent": True}), late_us=late_us + 9)
    settled(world)
    assert world.stored_profiles.read(["ada"]) == [{"consent": True}]


def test_attributes_of_an_id_are_carried_to_the_end_of_the_chain_and_never_replace_one(onboarding):
    world = UnifiedWorld(onboarding)
    publish(world, identify("phone", traits={"plan": "team", "device": "mobile"}), identify("laptop", traits={"plan": "free"}))
    publish(world, alias("phone", "laptop"), alias("laptop", "ada"))
    settled(world)
    assert world.stored_profiles.read(["laptop", "ada"]) == [{"plan": "free", "device": "mobile"}] * 2
    publish(world, identify("phone", traits={"plan": "enterprise", "cohort": "2026-03"}), late_us=9)
    settled(world)
    assert world.stored_profiles.read(["ada"]) == [{"plan": "free", "device": "mobile", "cohort": "2026-03"}]


def unreadable(world, user_id):
    world.stored_timelines._rows[user_id] = StoredTimeline(packed=b"rubbish", version_us=1)


@pytest.mark.parametrize("broken", ["phone", "ada"])
def test_a_timeline_that_cannot_be_read_stops_nobody_and_its_alias_and_events_are_there_for_a_rebuild(onboarding, broken):
    world = UnifiedWorld(onboarding)
    reserved = contact(at_us=NOON_US, decision_id="d1")
    sent = Commit(decision_id="d1", user_id="phone", receipt=b"{}", timeline_hash="t", timeline=b"", contact=reserved)
    world.ledger.commit(onboarding.name, sent)
    publish(world, event(1), event(2, "ada"), identify("phone", traits={"plan": "team"}))
    settled(world)
    unreadable(world, broken)
    publish(world, alias(), event(3, "ben"))
    settled(world)
    publish(world, event(4), event(5, "ben"), late_us=9)
    settled(world)
    assert [reason.partition(":")[0] for _, reason in world.stream.dead_letters()] == ["unreadable_timeline"] * 2
    assert unpack(world.packed("ben")).n_events == 2
    assert [(one.previous_id, one.user_id) for one in world.stored_aliases.aliases] == [("phone", "ada")]
    assert sorted(world.stored_events.scan()["user_id"].to_pylist()) == ["ada", "ben", "ben", "phone", "phone"]
    assert world.stored_profiles.read(["ada"]) == [{"plan": "team"}]
    assert [one.decision_id for one in world.ledger.contacts(onboarding.name, "ada", since_us=0)] == ["d1"]
    assert unpack(world.packed("ada" if broken == "phone" else "phone")).n_events == 2


class SomeUnreadable(MemoryProfileStore):
    """Profiles of which one cannot be read."""

    broken = ""

    def read(self, user_ids, names=None):
        if self.broken in user_ids:
            raise UnreadableUsersError("profile", [self.broken])
        return super().read(user_ids, names)


@pytest.mark.parametrize("broken", ["phone", "laptop"])
def test_a_profile_that_cannot_be_read_gives_and_takes_nothing_and_stops_nobody(onboarding, broken):
    world = UnifiedWorld(onboarding)
    world.profiles = UnifiedProfileStore(inner=(stored := SomeUnreadable()), identities=world.identities)
    publish(world, identify("phone"))
    settled(world)
    stored.broken = broken
    publish(world, alias("phone", "laptop"), alias("laptop", "ada"), identify("phone", traits={"plan": "team"}), identify("ben"))
    settled(world)
    assert world.stream.dead_letters() == []
    assert stored.read(["ben"]) == [{"plan": "free"}]
    stored.broken = ""
    assert stored.read(["phone"]) == [{"plan": "team"}]


def test_a_worker_that_cannot_attach_buries_aliases(onboarding):
    world = UnifiedWorld(onboarding)
    publish(world, alias(), event(1))
    worker = world.worker()
    worker.attacher = None
    worker.step(block_ms=0)
    assert [reason.partition(":")[0] for _, reason in world.stream.dead_letters()] == ["malformed"]
    assert unpack(world.packed("phone")).n_events == 1


def test_what_arrives_about_an_erased_person_leaves_no_trace(onboarding):
    world = UnifiedWorld(onboarding)
    publish(world, event(1), event(2, "ada"), identify(), alias())
    settled(world)
    ids = world.identities.mark_erased("phone")
    for store in (world.timelines, world.profiles, world.raw_log, world.alias_log):
        store.erase(ids)
    world.identities.forget(ids)
    publish(
        world, event(3), event(4, "ada"), identify("phone"), identify("ben", anonymous_id="phone"), alias("tablet", "ada"), event(5, "ben")
    )
    settled(world)
    timelines, profiles, _, _, aliases, events = world.contents("phone", "ada", "tablet")
    assert (timelines, profiles, aliases) == ([b""] * 3, [{}] * 3, set())
    assert {user_id for user_id, _, _ in events} == {"ben"}
    assert world.stream.dead_letters() == []
    assert world.stored_profiles.read(["ben"]) == [{"plan": "free"}]


class ErasesMeanwhile:
    """An identity store in which a person is marked as erased, and all stores emptied, between two looks."""

    def __init__(self, inner, looks, empty) -> None:
        self.inner, self.looks, self.empty = inner, looks, empty

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def standing(self, user_ids):
        self.looks -= 1
        answer = self.inner.standing(user_ids)
        if self.looks == 0:
            self.empty(self.inner.mark_erased("ada"))
        return answer


@pytest.mark.parametrize("looks", range(1, 20))
def test_an_erasure_that_runs_while_the_worker_writes_is_not_overtaken(onboarding, looks):
    world = UnifiedWorld(onboarding)
    publish(world, alias())
    settled(world)

    def empty(ids):
        for store in (world.stored_timelines, world.stored_profiles, world.stored_events, world.stored_aliases):
            store.erase(ids)

    eraser = ErasesMeanwhile(world.identities, looks, empty)
    world.identities = eraser
    for name in ("timelines", "profiles", "raw_log", "alias_log"):
        store = getattr(world, name)
        changes = {field: getattr(store, field) for field in type(store).__dataclass_fields__}
        setattr(world, name, type(store)(**{**changes, "identities": eraser}))
    publish(world, event(1), event(2, "ada"), identify("phone", traits={"device": "mobile"}), alias())
    settled(world)
    if eraser.looks > 0:
        return  # fewer looks than that: nothing was erased
    timelines, profiles, _, _, aliases, events = world.contents("phone", "ada")
    assert (timelines, profiles, aliases, events) == ([b""] * 2, [{}] * 2, set(), set())


@pytest.mark.parametrize(
    ("asked", "ends"),
    [
        ([], []),
        (["nobody"], ["nobody"]),
        (["phone", "ada", "nobody", "phone", "laptop"], ["ada", "ada", "nobody", "ada", "ada"]),
    ],
)
def test_whom_ids_stand_for_in_the_order_asked(asked, ends):
    store = MemoryIdentityStore()
    for previous_id, user_id in (("phone", "laptop"), ("laptop", "ada")):
        store.claim(claim(previous_id, user_id))
    assert [person.user_id for person in whom(store, asked)] == ends


def test_every_id_of_an_erased_person_is_known_as_erased():
    store = MemoryIdentityStore()
    store.claim(claim("phone", "ada"))
    store.mark_erased("ada")
    assert [person.is_erased for person in whom(store, ["ben", "phone", "ada"])] == [False, True, True]


def test_a_contact_that_is_reserved_for_an_id_while_it_is_attached_counts_for_the_user():
    """The interleaving that would lose it: the decision read the id before the alias and commits after the contacts were copied."""
    store, inner = MemoryIdentityStore(), MemoryLedger()
    ledger = FollowingLedger(inner=inner, contact_book=inner, identities=store)
    store.claim(claim("phone", "ada"))
    inner.adopt("onboarding", "phone", "ada")
    sent = contact(at_us=NOON_US, decision_id="d1")
    ledger.commit("onboarding", Commit(decision_id="d1", user_id="phone", receipt=b"{}", timeline_hash="", timeline=b"", contact=sent))
    assert ledger.contacts("onboarding", "ada", since_us=0) == (sent,)


def test_a_commit_whose_contact_cannot_follow_counts_as_not_answered():
    class Away:
        def standing(self, user_ids):
            raise StoreError("away")

    inner = MemoryLedger()
    ledger = FollowingLedger(inner=inner, contact_book=inner, identities=Away())
    sent = contact(at_us=NOON_US)
    with pytest.raises(LedgerError, match="away"):
        ledger.commit("onboarding", Commit(decision_id="d1", user_id="phone", receipt=b"{}", timeline_hash="", timeline=b"", contact=sent))


def test_senders_are_told_early_what_the_worker_would_refuse():
    store = MemoryIdentityStore()
    for previous_id, user_id in (("phone", "laptop"), ("laptop", "ada")):
        store.claim(claim(previous_id, user_id))
    store.mark_erased("ben")
    items = [claim("phone", "laptop"), claim("phone", "eve"), claim("ada", "phone"), claim("tablet", "ben"), claim("tablet", "phone")]
    rejections = foreseen_rejections(store, items)
    assert [rejection and rejection.code for rejection in rejections] == [None, "alias_conflict", "alias_cycle", "user_erased", None]
    assert all("got" in rejection.message and "expected" in rejection.message for rejection in rejections if rejection)
    assert "ben" not in rejections[3].message


def test_what_an_id_says_later_carries_nothing_that_another_id_of_the_chain_said_before(onboarding):
    world = UnifiedWorld(onboarding)
    publish(world, identify("laptop", traits={"consent": False}), alias("laptop", "ada"), alias("phone", "laptop"))
    settled(world)
    publish(world, identify("ada", traits={"consent": True}), late_us=9)
    publish(world, identify("phone", traits={"plan": "free"}), late_us=19)
    settled(world)
    assert world.stored_profiles.read(["ada"]) == [{"consent": True, "plan": "free"}]
