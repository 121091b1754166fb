from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from features.adapters.memory import MemoryProfileStore
from features.adapters.memory_identities import MemoryIdentityStore
from features.core.alias import Alias
from features.core.event import Event
from features.core.product import Collection
from features.ingest.admission import ProfileChange
from features.ingest.answers import StoredAnswers
from features.ingest.collection import Answers, RefusedEvent, Told, alias_in, ids_in, judged, usable_id
from features.ports import StoreError, UnreadableUsersError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def visit(user_id: str = "ada") -> Event:
    return Event(event_id="e", user_id=user_id, kind="visit", occurred_at=NOON, received_at=NOON)


def says(answer: object, user_id: str = "ada", alias: Alias | None = None) -> ProfileChange:
    attributes: dict[str, Any] = {} if answer is None else {"tracking": answer}
    return ProfileChange(user_id=user_id, attributes=attributes, known_at=NOON, alias=alias)


def joins(previous_id: str = "phone", user_id: str = "ada") -> Alias:
    return Alias(previous_id=previous_id, user_id=user_id, occurred_at=NOON, received_at=NOON)


def answers(*, unless_said: bool = False, person_of: dict[str, str] | None = None, **said: bool) -> Answers:
    return Answers(collection=Collection(attribute="tracking", unless_said=unless_said), said=said, person_of=person_of or {})


@pytest.mark.parametrize("unless_said", [False, True])
def test_what_was_never_said_is_what_the_product_declares(unless_said: bool) -> None:
    assert judged([visit()], answers(unless_said=unless_said), set()) == [unless_said]


def test_everything_that_is_no_event_is_taken_whatever_was_said() -> None:
    items: list[Told] = [says(False), None, RefusedEvent(user_id="ada"), says(None), says("not an answer"), joins()]
    assert judged(items, answers(ada=False), set()) == [True, True, False, True, True, True]


def test_the_no_of_another_id_counts_and_its_yes_only_fills_in() -> None:
    of_one = {"phone": "ada"}
    assert judged([says(False, "phone"), visit()], answers(person_of=of_one, ada=True), set()) == [True, False]
    assert judged([says(True, "phone"), visit()], answers(person_of=of_one, ada=False), set()) == [True, False]
    assert judged([says(True, "phone"), visit()], answers(person_of=of_one), set()) == [True, True]


def test_a_refusal_waits_for_what_was_kept_of_the_person_and_of_nobody_else() -> None:
    unfinished = {"ben"}
    assert len(judged([says(True), visit(), says(False)], answers(), unfinished)) == 2
    assert unfinished == {"ben", "ada"}
    assert len(judged([says(None), says(False)], answers(), {"ben"})) == 2
    assert len(judged([says(None), says(False)], answers(), {"ada"})) == 1


@pytest.mark.parametrize(
    ("said", "unless_said", "waits"),
    [
        ({"phone": False}, True, True),  # carries its no
        ({"ada": False}, True, True),  # is ada's from now on
        ({"ada": True}, False, False),
        ({"phone": True}, False, False),  # fills in
        ({}, True, False),
        ({}, False, True),
    ],
)
def test_an_alias_waits_where_it_would_silence_somebody_of_whom_something_was_kept(
    said: dict[str, bool],
    unless_said: bool,
    waits: bool,
) -> None:
    items = [says(None, "eve"), joins()]
    assert len(judged(items, answers(unless_said=unless_said, **said), {"ada"})) == (1 if waits else 2)
    assert len(judged(items, answers(unless_said=unless_said, **said), {"ben"})) == 2


@pytest.mark.parametrize(("answer", "waits"), [(False, True), (True, False)])
def test_an_answer_that_comes_with_an_alias_is_that_of_both(answer: bool, waits: bool) -> None:
    items = [says(None, "eve"), says(answer, alias=joins())]
    assert len(judged(items, answers(phone=True), {"phone"})) == (1 if waits else 2)


def test_what_was_kept_under_an_id_is_the_persons_once_it_is_joined() -> None:
    unfinished = {"phone"}
    judged([joins()], answers(ada=True), unfinished)
    assert unfinished == {"phone", "ada"}


@pytest.mark.parametrize(("after", "n_taken"), [(visit("phone"), 1), (says(True), 1), (says(None), 2), (visit("ben"), 2), (joins(), 2)])
def test_only_events_and_answers_of_whom_an_alias_is_about_wait_for_it(after: Told, n_taken: int) -> None:
    assert len(judged([says(None, alias=joins()), after], answers(), set())) == n_taken


def test_every_id_that_may_matter_is_asked_about_once() -> None:
    items: list[Told] = [
        visit(),
        visit(),
        None,
        joins("phone", "eve"),
        says(True, "ben", alias=joins("web", "ben")),
        RefusedEvent(user_id="x"),
    ]
    assert ids_in(items) == ["ada", "phone", "eve", "web", "ben", "x"]
    assert (alias_in(visit()), alias_in(None)) == (None, None)


def test_an_id_that_no_store_could_hold_is_nobodys() -> None:
    assert [usable_id(value) for value in ("ada", "", None, 7, chr(0xD800), "x" * 129)] == ["ada", None, None, None, None, None]


class SomeUnreadable(MemoryProfileStore):
    """Profiles of which some cannot be read."""

    broken: frozenset[str] = frozenset()

    def read(self, user_ids: Sequence[str], names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        if unreadable := self.broken.intersection(user_ids):
            raise UnreadableUsersError("profile", sorted(unreadable))
        return super().read(user_ids, names)


@pytest.mark.parametrize("unless_said", [False, True])
def test_a_profile_that_cannot_be_read_is_a_no_until_its_person_says_otherwise(unless_said: bool) -> None:
    profiles = SomeUnreadable()
    profiles.write({user_id: {"tracking": True} for user_id in ("ada", "ben", "eve")}, changed_us=1)
    profiles.broken = frozenset({"ada", "eve"})
    found = StoredAnswers(collection=Collection(attribute="tracking", unless_said=unless_said), profiles=profiles).of(["ada", "ben", "eve"])
    assert judged([visit("ada"), visit("ben"), visit("eve"), says(True), visit("ada")], found, set()) == [False, True, False, True, True]


def test_the_answer_is_that_of_the_person_at_the_end_of_the_chain() -> None:
    identities, profiles = MemoryIdentityStore(), MemoryProfileStore()
    for alias in (joins("web", "phone"), joins("phone", "ada")):
        assert identities.claim(alias) is None
    profiles.write({"web": {"tracking": True}, "ada": {"tracking": False, "plan": "team"}}, changed_us=1)
    stored = StoredAnswers(collection=Collection(attribute="tracking"), profiles=profiles, identities=identities)
    found = stored.of(["web", "ada", "phone", "ben"])
    assert (found.said, dict(found.person_of)) == ({"ada": False}, {"web": "ada", "phone": "ada"})


def test_a_store_that_is_away_is_no_answer() -> None:
    class Away(MemoryProfileStore):
        def read(self, user_ids: Sequence[str], names: Sequence[str] | None = None) -> list[dict[str, Any]]:
            raise StoreError(f"away: {user_ids} {names}")

    with pytest.raises(StoreError, match="away"):
        StoredAnswers(collection=Collection(attribute="tracking"), profiles=Away()).of(["ada"])


@pytest.mark.parametrize("unless_said", [False, True])
def test_of_many_those_who_may_be_tracked_are_found_in_portions(unless_said: bool) -> None:
    profiles, users = MemoryProfileStore(), [f"user-{number}" for number in range(2_001)]
    profiles.write({user: {"tracking": number % 3 == 0} for number, user in enumerate(users) if number % 3}, changed_us=1)
    profiles.write({user: {"tracking": True} for user in users[::6]}, changed_us=2)
    stored = StoredAnswers(collection=Collection(attribute="tracking", unless_said=unless_said), profiles=profiles)
    assert stored.tracked(users) == (users[::3] if unless_said else users[::6])
    assert stored.tracked([]) == []
