"""The worker where the product asks for consent to collection; what is kept in which order is in tests/laws/test_collection_laws.py."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from features.adapters.memory import MemoryProfileStore
from features.core.event import to_us
from features.core.product import Collection
from features.core.timeline import unpack
from features.ingest.unified import UnifiedProfileStore
from features.ports import StoreError, UnreadableUsersError
from serving.api.events import stream_body
from tests.serving_world import NOON
from tests.unified_world import UnifiedWorld

NOW_US = to_us(NOON)


class Watched(MemoryProfileStore):
    """Profiles that count how often they are read, and of which some cannot be."""

    n_reads = 0
    is_away = False
    broken: frozenset[str] = frozenset()

    def __init__(self):
        super().__init__()
        self.asked = []  # how many users each read for an answer was about

    def read(self, user_ids, names=None):
        self.n_reads += 1
        self.asked += [len(user_ids)] if names == ["consent"] else []
        if self.is_away:
            raise StoreError("profiles could not be read; start Redis")
        if found := self.broken.intersection(user_ids):
            raise UnreadableUsersError("profile", sorted(found))
        return super().read(user_ids, names)


@pytest.fixture
def world(onboarding):
    return asking(onboarding, unless_said=False)


def asking(onboarding, *, unless_said):
    world = UnifiedWorld(replace(onboarding, collection=Collection(attribute="consent", unless_said=unless_said)))
    world.watched = Watched()
    world.profiles = UnifiedProfileStore(inner=world.watched, identities=world.identities)
    return world


def sent(world, *items):
    world.stream.publish([(item["user_id"], stream_body(item, NOW_US)) for item in items])


def login(number=1, user_id="ada", **fields):
    at = (NOON - timedelta(seconds=number)).isoformat()
    return {"event_id": f"e{number}", "user_id": user_id, "kind": "login", "occurred_at": at, **fields}


def says(consent, user_id="ada"):
    return {"type": "identify", "user_id": user_id, "occurred_at": NOON.isoformat(), "traits": {"consent": consent}}


def worked(world):
    worker = world.worker()
    while worker.step(block_ms=0):
        pass
    worker.finish()
    return worker


def kept(world):
    table = world.stored_events.scan()
    return sorted(table["event_id"].to_pylist()) if table.num_rows else []


def test_s1_14_what_came_before_consent_is_nowhere_and_what_comes_after_is_kept(world):
    sent(world, login(1), says(True), login(2), login(3, "ben"))
    worked(world)
    assert (kept(world), unpack(world.packed("ada")).n_events, world.packed("ben")) == (["e2"], 1, b"")
    assert (world.stream.backlog(), world.stream.dead_letters()) == (0, [])
    assert world.watched.read(["ada"]) == [{"consent": True}]


def test_s1_14_an_event_with_something_wrong_is_no_dead_letter_either(world):
    sent(world, says(False), login(1, kind="gone"), login(2, "ben", kind="gone"))
    sent(world, login(3, "eve"), says(True, "eve"), login(4, "eve", kind="gone"))
    world.stream.publish([("ada", b"?"), ("ada", b'{"received_us":1,"item":[]}')])
    worked(world)
    bodies = [body for body, _ in world.stream.dead_letters()]
    assert [b"e4" in body for body in bodies] == [True, False, False]  # eve's, who agreed, and two that are nobody's
    assert world.stream.backlog() == 0


def test_s1_15_an_opt_out_ends_the_collecting_and_keeps_what_was(onboarding):
    world = asking(onboarding, unless_said=True)
    sent(world, login(1), says(False), login(2), says(True), login(3))
    worked(world)
    assert kept(world) == ["e1", "e3"]
    assert unpack(world.packed("ada")).n_events == 2


def test_s1_15_who_opted_out_is_not_followed_under_another_of_their_ids(onboarding):
    world = asking(onboarding, unless_said=True)
    alias = {"type": "alias", "previous_id": "phone", "user_id": "ada", "occurred_at": NOON.isoformat()}
    sent(world, login(1, "phone"), says(False), login(2, "phone"), alias, login(3, "phone"), login(4))
    worked(world)
    assert kept(world) == ["e1", "e2"]
    sent(world, login(5, "phone"), says(True), login(6, "phone"))
    worked(world)
    assert kept(world) == ["e1", "e2", "e6"]


def test_s1_15_a_no_beside_a_trait_that_is_gone_counts_and_the_rest_is_a_dead_letter(onboarding):
    """The product changed between the service, which took the item, and the worker."""
    world = asking(onboarding, unless_said=True)
    no = says(False)
    no["traits"]["gone"] = 1
    sent(world, login(1), no, login(2), says(False, "ben"), login(3, "ben"))
    worked(world)
    assert (kept(world), world.watched.read(["ada"])) == (["e1"], [{"consent": False}])
    ((body, reason),) = world.stream.dead_letters()
    assert (b"gone" in body, reason.split(":")[0], world.stream.backlog()) == (True, "unknown_attribute", 0)


def test_a_no_is_stored_before_what_was_wrong_beside_it_is_set_aside(onboarding):
    class NoProfiles(Watched):
        def write_history(self, changes):
            raise StoreError("away")

    world = asking(onboarding, unless_said=True)
    world.profiles = UnifiedProfileStore(inner=NoProfiles(), identities=world.identities)
    no = says(False)
    no["traits"]["gone"] = 1
    sent(world, no)
    with pytest.raises(StoreError):
        world.worker().step(block_ms=0)
    assert (world.stream.backlog(), world.stream.dead_letters()) == (1, [])


@pytest.mark.parametrize("unless_said", [False, True])
def test_s1_14_of_a_profile_that_cannot_be_read_nothing_is_kept_and_nobody_else_waits(onboarding, unless_said):
    world = asking(onboarding, unless_said=unless_said)
    world.watched.write({user_id: {"consent": True} for user_id in ("ada", "ben")}, changed_us=1)
    world.watched.broken = frozenset({"ada"})
    sent(world, login(1), login(2, "ben"))
    worked(world)
    assert (kept(world), world.stream.backlog(), world.stream.dead_letters()) == (["e2"], 0, [])


def test_while_nobody_can_be_asked_everything_waits(world):
    sent(world, says(True), login(1))
    world.watched.is_away = True
    with pytest.raises(StoreError):
        world.worker().step(block_ms=0)
    assert world.stream.backlog() == 2
    world.watched.is_away = False
    assert world.worker().recover() == 2
    assert (kept(world), world.stream.backlog()) == (["e1"], 0)


def test_a_batch_costs_one_read_and_none_where_no_consent_is_asked(onboarding, world):
    items = [says(True), *(login(number, f"user-{number}") for number in range(300)), login(301)]
    sent(world, *items)
    world.worker().step(block_ms=0)
    assert world.watched.n_reads == 1
    plain = asking(onboarding, unless_said=True)
    plain.product = onboarding
    sent(plain, *items)
    plain.worker().step(block_ms=0)
    assert (plain.watched.n_reads, len(kept(plain))) == (0, 301)


def test_a_sign_in_costs_a_read_of_its_person_and_not_of_the_batch(world):
    sent(world, says(True), *(login(number, f"user-{number}") for number in range(300)))
    for number in range(20):
        alias = {"type": "alias", "previous_id": f"phone-{number}", "user_id": f"user-{number}", "occurred_at": NOON.isoformat()}
        sent(world, alias, login(1_000 + number, f"user-{number}"))
    world.worker().step(block_ms=0)
    assert (world.watched.asked[0], set(world.watched.asked[1:]), len(world.watched.asked)) == (321, {1}, 21)


def test_the_log_tells_how_many_were_not_kept_and_names_nobody(world, caplog):
    caplog.set_level(logging.INFO, logger="serving.worker")
    sent(world, *(login(number, f"secret-{number}") for number in range(12)))
    worked(world)
    assert [record.getMessage() for record in caplog.records] == ["did not keep 12 events of people who are not to be tracked"]


def test_what_may_not_be_kept_does_not_wait_for_the_log_lest_it_meet_a_later_yes(world):
    class NoLog:
        def append(self, events):
            raise StoreError(f"no room for {len(events)}")

    sent(world, login(1, "ben"), says(True), login(2))
    worker = world.worker()
    worker.raw_log = NoLog()
    with pytest.raises(StoreError):
        worker.step(block_ms=0)
    assert world.stream.backlog() == 2
    assert world.worker().recover() == 2
    assert kept(world) == ["e2"]
