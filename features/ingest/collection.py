"""Whose behaviour may be kept: the rule, as a pure walk over items in the order in which they came.

What counts for an event is what its person had said by then: the answer that stands before the first item, changed by every answer that
comes before the event. Answers themselves (identify items, aliases) are always taken. People are told apart as for decisions: an id that an
alias attached to somebody stands for them.
"""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from features.core.alias import Alias
from features.core.event import Event
from features.core.product import Collection
from features.ingest.admission import ProfileChange
from features.ingest.rejection import RefusedError, checked_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEvent:
    """What was refused as an event and names somebody: setting it aside would keep it, so it is judged as an event is."""

    user_id: str


_Somebodys = Event | RefusedEvent | ProfileChange | Alias
Told = _Somebodys | None
"""One item; None: nobody's."""


@dataclass(slots=True, kw_only=True)
class Answers:
    """What people have said by now, and what follows for their events.

    Parameters
    ----------
    collection
        Which attribute is the answer, and what holds for those who never gave one.
    said
        Answer of each person who gave one. Of a profile that cannot be read it is False: when in doubt, nothing is kept.
    person_of
        Whom an id stands for, of ids that are attached to somebody.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> answers = Answers(collection=Collection(attribute="tracking"), said={"ada": False}, person_of={"phone": "ada"})
    >>> answers.allows("ben"), answers.allows("phone")
    (False, False)
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> answers.hear(ProfileChange(user_id="phone", attributes={"tracking": True}, known_at=noon))  # fills in where ada never said
    >>> answers.allows("ada")
    False
    >>> answers.hear(ProfileChange(user_id="ada", attributes={"tracking": True}, known_at=noon))
    >>> answers.allows("phone")
    True
    """

    collection: Collection
    said: dict[str, bool] = field(default_factory=dict)
    person_of: dict[str, str] = field(default_factory=dict)

    def person(self, user_id: str) -> str:
        """Whom an id stands for."""
        return self.person_of.get(user_id, user_id)

    def allows(self, user_id: str) -> bool:
        """Whether an event of this id may be kept."""
        return self.said.get(self.person(user_id), self.collection.unless_said)

    def takes(self, told: Told) -> bool:
        """Whether an item is taken: all are, but events that may not be kept."""
        return not isinstance(told, Event | RefusedEvent) or self.allows(told.user_id)

    def hear(self, told: Told) -> None:
        """Take the answer of an item, if it gives one, as the profile store does.

        Under a person's own id it counts; under another of their ids a no counts and a yes fills in where they never said.
        """
        said = None if told is None else self._said_after(told)
        if told is not None and said is not None:
            self.said[self.person(told.user_id)] = said

    def replace(self, user_ids: Sequence[str], newer: Answers) -> None:
        """Forget whom these ids stood for and what they said, for what ``newer`` says of them."""
        for user_id in user_ids:
            self.said.pop(self.person(user_id), None)
        for user_id in user_ids:
            self.person_of.pop(user_id, None)
        self.said |= newer.said
        self.person_of |= newer.person_of

    def silences(self, told: Told) -> frozenset[str]:
        """Persons of whom nothing may be kept any more once this item was applied."""
        if told is None:
            return frozenset()
        own, alias = self.person(told.user_id), alias_in(told)
        silenced = {own} if self._answer_in(told) is False else set()
        if alias is not None:
            previous = self.person(alias.previous_id)
            if not self._said_together(told, previous):
                silenced |= {own, previous}
        return frozenset(silenced)

    def joined_by(self, told: Told) -> frozenset[str]:
        """Those whom an item's alias makes one person, if it is accepted."""
        alias = alias_in(told)
        return frozenset() if alias is None else frozenset({self.person(alias.user_id), self.person(alias.previous_id)})

    def turns_on(self, told: Told, persons: AnyOf[str]) -> bool:
        """Whether an item is an event or an answer of one of these persons."""
        matters = isinstance(told, Event | RefusedEvent) or self._answer_in(told) is not None
        return told is not None and matters and self.person(told.user_id) in persons

    def _answer_in(self, told: Told) -> bool | None:
        given = told.attributes.get(self.collection.attribute) if isinstance(told, ProfileChange) else None
        return given if isinstance(given, bool) else None

    def _said_after(self, told: _Somebodys) -> bool | None:
        """What the person of an item has said once its own answer, if it gives one, was taken."""
        person, answer = self.person(told.user_id), self._answer_in(told)
        said = self.said.get(person)
        return said if answer is None or (answer and said is not None and person != told.user_id) else answer

    def _said_together(self, told: _Somebodys, previous: str) -> bool:
        """What holds for two who turn out to be one: a no of the previous id replaces, a yes fills in."""
        own, said = self._said_after(told), self.said.get(previous)
        if said is False:
            return False
        return next((answer for answer in (own, said) if answer is not None), self.collection.unless_said)


def alias_in(told: Told) -> Alias | None:
    """The alias that an item asks for, itself or besides; None: none."""
    if isinstance(told, ProfileChange):
        return told.alias
    return told if isinstance(told, Alias) else None


def judged(items: Sequence[Told], answers: Answers, unfinished: set[str]) -> list[bool]:
    """Whether each item is taken, of as many from the first on as can be applied together; ``answers`` hears what they say.

    The rest waits until these are applied, for one of two reasons. An alias among them concerns whom the next item is about: what it did
    (it may be refused) is then for the stores to say. A further alias waits for it only where something was kept of those whom it joins.
    Or the next item silences somebody of whom something was kept, which must be finished before: it would else be judged again, by the
    answer that came after it, were it delivered again.

    Parameters
    ----------
    unfinished
        Persons of whom events were kept that may yet be delivered again; those of whom some are kept now are added. If the first item
        silences one, the caller has finished them.

    Returns
    -------
    list of bool
        At least one where there is an item; False for an event that may not be kept.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> visit = Event(event_id="e", user_id="ada", kind="visit", occurred_at=noon, received_at=noon)
    >>> yes, no = (ProfileChange(user_id="ada", attributes={"tracking": answer}, known_at=noon) for answer in (True, False))
    >>> alias = Alias(previous_id="phone", user_id="ada", occurred_at=noon, received_at=noon)
    >>> answers = Answers(collection=Collection(attribute="tracking"))
    >>> judged([visit, yes, visit, no, visit], answers, set())  # the refusal waits until the second visit is safe
    [False, True, True]
    >>> judged([no, visit, alias, visit], answers, set())  # is it ada's phone, and what did she say there?
    [True, False, True]
    """
    verdicts: list[bool] = []
    joined = set[str]()
    for place, told in enumerate(items):
        both = answers.joined_by(told)
        is_chain = not (joined.isdisjoint(both) or unfinished.isdisjoint(both))
        if place and (is_chain or answers.turns_on(told, joined) or not unfinished.isdisjoint(answers.silences(told))):
            break
        verdicts.append(answers.takes(told))
        if isinstance(told, Event) and verdicts[-1]:
            unfinished.add(answers.person(told.user_id))
        answers.hear(told)
        joined |= both
        unfinished |= frozenset() if unfinished.isdisjoint(both) else both
    return verdicts


def ids_in(items: Iterable[Told]) -> list[str]:
    """Every id whose answer the items may turn on, each once."""
    ids: dict[str, None] = {}
    for told in items:
        alias = alias_in(told)
        ids |= dict.fromkeys(() if alias is None else (alias.previous_id, alias.user_id))
        ids |= {} if told is None else {told.user_id: None}
    return list(ids)


def usable_id(value: object) -> str | None:
    """A user id as a sender or a file gives it; None where it can be nobody's."""
    try:
        return checked_id(value, "user_id")
    except RefusedError:
        return None
