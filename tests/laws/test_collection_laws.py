"""What is kept is what came while it was allowed: however messages are cut into batches, and wherever a worker is killed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.core.catalogue import Catalogue, Kind
from features.core.event import to_us
from features.core.product import Attribute, AttributeType, Collection, Label, Product
from features.core.timeline import unpack
from features.ports import StoreError
from serving.api.events import stream_body
from tests.unified_world import Fuse, UnifiedWorld

START = datetime(2026, 3, 4, tzinfo=UTC)
IDS = ("phone", "laptop", "ada", "ben")
PRODUCT = Product(
    name="p",
    description="",
    catalogue=Catalogue(kinds=(Kind(name="visit", keep=100),), features=()),
    causes=(),
    label=Label(activity=("visit",), horizon=timedelta(days=7)),
    profile=(Attribute(name="tracking", type=AttributeType.BOOLEAN, model=False), Attribute(name="plan", type=AttributeType.CATEGORY)),
)

Message = dict[str, Any]

people = st.sampled_from(IDS)
visits = st.builds(lambda user_id: {"user_id": user_id, "kind": "visit"}, people)
answers = st.builds(
    lambda user_id, traits: {"type": "identify", "user_id": user_id, "traits": traits},
    people,
    st.sampled_from(
        [
            *({"tracking": True}, {"tracking": False}, {"plan": "team"}, {"plan": "free", "tracking": False}),
            *({"plan": 7, "tracking": False}, {"tracking": False, "gone": 1}),  # of which the no counts
            *({"plan": 7, "tracking": True}, {"tracking": True, "gone": 1}),  # of which nothing does
        ]
    ),
)
traits = st.sampled_from([{"plan": "team"}, {"tracking": True}, {"tracking": False}])
aliases = st.one_of(
    st.builds(lambda ids: {"type": "alias", "previous_id": ids[0], "user_id": ids[1]}, st.permutations(IDS)),
    st.builds(
        lambda ids, said: {"type": "identify", "anonymous_id": ids[0], "user_id": ids[1], "traits": said}, st.permutations(IDS), traits
    ),
)
cuts = st.lists(st.integers(1, 7), min_size=1, max_size=6)


def dated(messages: list[Message]) -> list[Message]:
    """Each message with an id of its own, a second after the one before it."""
    return [{**one, "event_id": f"e{n}", "occurred_at": (START + timedelta(seconds=n)).isoformat()} for n, one in enumerate(messages)]


def counts(traits: dict[str, Any]) -> bool:
    """Whether an answer does: a no whatever stands beside it, a yes where all is well."""
    return traits["tracking"] is False or not ("gone" in traits or traits.get("plan") == 7)


def allowed(messages: list[Message], *, unless_said: bool) -> set[str]:
    """The oracle: for each event the newest answer of its sender before it, by looking back."""
    kept = set()
    for place, message in enumerate(messages):
        if "kind" in message:
            said = [
                earlier["traits"]["tracking"]
                for earlier in reversed(messages[:place])
                if earlier["user_id"] == message["user_id"] and "tracking" in earlier.get("traits", {}) and counts(earlier["traits"])
            ]
            if said[0] if said else unless_said:
                kept.add(message["event_id"])
    return kept


def told(messages: list[Message], sizes: list[int], *, unless_said: bool, fuse: Fuse | None = None, waits: bool = True) -> UnifiedWorld:
    """Every message sent, in order, and taken by workers in batches of these sizes, again and again; one whose store fails is dead."""
    asking = replace(PRODUCT, collection=Collection(attribute="tracking", unless_said=unless_said))
    world = UnifiedWorld(asking, fuse=fuse)
    worker, sent, turn = world.worker(), 0, 0
    while sent < len(messages):
        size = sizes[turn % len(sizes)]
        for n, message in enumerate(messages[sent : sent + size], start=sent):
            world.stream.publish([(message["user_id"], stream_body(message, to_us(START) + n * 1_000_000))])
        worker.log_delay_us = 10**12 if waits else 0
        try:
            worker.step(block_ms=0)
        except StoreError:
            worker = world.worker()
            worker.recover()
        sent, turn = sent + size, turn + 1
    finished(world, worker)
    return world


def finished(world: UnifiedWorld, worker: Any) -> None:
    worker.finish()
    if world.stream.backlog():  # the last write failed
        world.worker().recover()
    assert world.stream.backlog() == 0
    assert all(
        reason.startswith(("alias_conflict", "alias_cycle", "bad_attribute", "unknown_attribute"))
        for _, reason in world.stream.dead_letters()
    )


def logged(world: UnifiedWorld) -> set[str]:
    table = world.stored_events.scan()
    return set(table["event_id"].to_pylist()) if table.num_rows else set()


@given(st.lists(st.one_of(visits, answers), max_size=25), cuts, st.booleans(), st.booleans())
def test_what_is_kept_is_exactly_what_came_while_it_was_allowed(messages, sizes, unless_said, waits):
    messages = dated(messages)
    world = told(messages, sizes, unless_said=unless_said, waits=waits)
    assert logged(world) == allowed(messages, unless_said=unless_said)


VISIT = {"user_id": "ada", "kind": "visit"}
YES, NO = ({"type": "identify", "user_id": "ada", "traits": {"tracking": answer}} for answer in (True, False))
NO_WITH_A_SLIP = {**NO, "traits": {"tracking": False, "gone": 1}}


@pytest.mark.parametrize("unless_said", [False, True])
@pytest.mark.parametrize("sizes", [[3], [2, 1], [1]], ids=str)
def test_a_worker_that_is_killed_anywhere_changes_nothing_of_it(sizes, unless_said):
    """Every course of three messages of one person, and in each every write that may fail, done or not."""
    for messages in map(dated, product((VISIT, YES, NO, NO_WITH_A_SLIP), repeat=3)):
        kept = allowed(messages, unless_said=unless_said)
        told(messages, sizes, unless_said=unless_said, fuse=(counts := Fuse()))
        for breaks_at, before in product(range(1, counts.calls + 1), (True, False)):
            world = told(messages, sizes, unless_said=unless_said, fuse=Fuse(breaks_at, before=before))
            assert (logged(world), unpack(world.packed("ada")).n_events) == (kept, len(kept)), (messages, breaks_at, before)


def of(user_id, message):
    return {**message, "user_id": user_id}


A_NO_WITH_AN_ALIAS = (of("phone", YES), of("phone", VISIT), VISIT, {**NO, "anonymous_id": "phone"}, of("phone", VISIT))
A_NO_ALONG_A_CHAIN = (
    YES,
    of("phone", NO),  # delivered again, it would be Ada's
    VISIT,
    {"type": "alias", "previous_id": "phone", "user_id": "laptop"},
    {"type": "alias", "previous_id": "laptop", "user_id": "ada"},
    VISIT,
)


@pytest.mark.parametrize("sizes", [[6], [3], [2], [1]], ids=str)
@pytest.mark.parametrize(
    ("course", "kept"), [(A_NO_WITH_AN_ALIAS, {"e1"}), (A_NO_ALONG_A_CHAIN, {"e2"})], ids=["with an alias", "along a chain"]
)
def test_a_no_that_aliases_bring_takes_back_nothing_that_was_kept_wherever_the_worker_is_killed(course, kept, sizes):
    messages = dated(list(course))
    told(messages, sizes, unless_said=False, fuse=(counts := Fuse()))
    for breaks_at, before in product(range(1, counts.calls + 1), (True, False)):
        world = told(messages, sizes, unless_said=False, fuse=Fuse(breaks_at, before=before))
        assert (logged(world), unpack(world.packed("ada")).n_events) == (kept, 1), (breaks_at, before)


@given(st.lists(st.one_of(visits, visits, answers, aliases), max_size=20), cuts, st.booleans())
def test_how_messages_are_cut_into_batches_changes_nothing_also_where_ids_turn_out_to_be_one_person(messages, sizes, unless_said):
    messages = dated(messages)
    one_by_one = told(messages, [1], unless_said=unless_said, waits=False)
    world = told(messages, sizes, unless_said=unless_said)
    assert logged(world) == logged(one_by_one)
    assert [world.packed(user_id) for user_id in IDS] == [one_by_one.packed(user_id) for user_id in IDS]
    assert [profile.get("tracking") for profile in world.stored_profiles.read(IDS)] == [
        profile.get("tracking") for profile in one_by_one.stored_profiles.read(IDS)
    ]


@given(st.lists(st.one_of(visits, answers, aliases), max_size=8), cuts, st.booleans(), st.integers(1, 25), st.booleans())
def test_no_crash_brings_back_what_was_not_allowed_where_ids_turn_out_to_be_one_person(messages, sizes, unless_said, breaks_at, before):
    """A no that is delivered again may reach the person whom its id was attached to meanwhile, so that less is kept; never more."""
    messages = dated(messages)
    undisturbed = told(messages, sizes, unless_said=unless_said)
    world = told(messages, sizes, unless_said=unless_said, fuse=Fuse(breaks_at, before=before))
    assert logged(world) <= logged(undisturbed)
