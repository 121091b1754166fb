"""What a ledger has to hold, said again slowly in plain Python, and a recount of every limit when a contact is granted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from serving.decision.ids import user_tag
from serving.decision.policy import Cap, Message, Policy
from serving.decision.values import Contact
from serving.ports import Delivery

_US = timedelta(microseconds=1)
Members = dict[Contact, int]
"""Moments by contact; the contact without its moment (0), which alone may change."""


@dataclass(slots=True, kw_only=True)
class ContactModel:
    """Contacts of each id, places under rate limits, and who was erased."""

    contacts: dict[str, Members] = field(default_factory=lambda: defaultdict(dict))
    released: dict[str, Members] = field(default_factory=lambda: defaultdict(dict))
    granted: dict[str, str] = field(default_factory=dict)  # user by decision
    planned_us: dict[str, int] = field(default_factory=dict)  # moment by decision
    places: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))  # decisions by rate limit and window
    erased: set[str] = field(default_factory=set)

    def grant(self, user_id: str, contact: Contact, receipt: Mapping[str, Any], policy: Policy) -> None:
        """A contact was reserved: nobody may have been erased, and no limit may have been full."""
        assert user_id not in self.erased, f"{user_id} was erased and is contacted"
        assert contact.decision_id not in self.granted, f"{contact.decision_id} is granted twice"
        zone = zone_of(receipt["inputs"]["profile"].get(policy.timezone_attribute), policy)
        as_of_us = receipt["inputs"]["as_of_us"]
        others = [one for one in self.of(user_id) if one.expires_us is None or as_of_us < one.expires_us]
        assert list(exceeded([*others, contact], contact, policy, zone)) == []
        self._take_places(contact, policy)
        self.granted[contact.decision_id], self.planned_us[contact.decision_id] = user_id, contact.at_us
        self.contacts[user_id][replace(contact, at_us=0)] = contact.at_us

    def _take_places(self, contact: Contact, policy: Policy) -> None:
        for rate in policy.rate_limits:
            if rate.covers(policy.message_by_id[contact.message_id]):
                taken = self.places[rate.name, contact.at_us // (rate.per // _US)]
                taken.add(contact.decision_id)
                assert len(taken) <= rate.limit, f"{rate.name} has {len(taken)} contacts, {rate.limit} allowed"

    def of(self, user_id: str) -> list[Contact]:
        """Contacts of an id, with their moments."""
        return [replace(one, at_us=at_us) for one, at_us in self.contacts[user_id].items()]

    def confirm(self, decision_id: str, delivered_us: int) -> Delivery:
        """What the ledger has to answer, and what it then has to hold."""
        user_id = self.granted[decision_id]
        members, released = self.contacts[user_id], self.released[user_id]
        for kept in (members, released):
            for one in [one for one in kept if one.decision_id == decision_id]:
                if kept is members and one.expires_us is None:
                    return Delivery.KNOWN
                del kept[one]
                members[replace(one, expires_us=None)] = delivered_us
                return Delivery.CONFIRMED
        return Delivery.UNKNOWN

    def release(self, decision_id: str) -> Delivery:
        """The same of a contact that was not delivered."""
        user_id = self.granted[decision_id]
        members, released = self.contacts[user_id], self.released[user_id]
        mine = next((one for one in members if one.decision_id == decision_id), None)
        if mine is None:
            return Delivery.KNOWN if any(one.decision_id == decision_id for one in released) else Delivery.UNKNOWN
        if mine.expires_us is None:
            return Delivery.KNOWN
        released[mine] = members.pop(mine)
        return Delivery.RELEASED

    def adopt(self, previous_id: str, user_id: str) -> None:
        """The contacts of an id that was attached also count for the user, for good."""
        for one, at_us in self.contacts[previous_id].items():
            self.contacts[user_id][replace(one, expires_us=None)] = at_us

    def is_of_erased(self, decision_id: str) -> bool:
        """Whether the decision was about somebody who was erased."""
        tags = {user_tag(user_id) for user_id in self.erased}
        return decision_id[1:17] in tags


def zone_of(name: Any, policy: Policy) -> ZoneInfo:
    """The user's zone; the machine names none that does not exist."""
    return ZoneInfo(name or policy.default_timezone)


def exceeded(contacts: Sequence[Contact], new: Contact, policy: Policy, zone: ZoneInfo) -> Iterator[str]:
    """Every limit of the policy that the new contact's day, or an interval that holds it, goes beyond."""
    for cap in policy.caps:
        if _names(cap, new):
            mine = [one for one in contacts if _names(cap, one)]
            count = _on_day_of(new, mine, zone) if cap.window is None else _most_within(new, mine, cap.window)
            if count > cap.limit:
                yield f"{cap.name}: {count} contacts, {cap.limit} allowed"
    message = policy.message_by_id[new.message_id]
    if _most_within(new, [one for one in contacts if one.message_id == new.message_id], message.cooldown) > 1:
        yield f"{message.id}: another within {message.cooldown}"
    yield from _suppressed(contacts, new, message, policy)


def _suppressed(contacts: Sequence[Contact], new: Contact, message: Message, policy: Policy) -> Iterator[str]:
    for one in contacts:
        if one is not new and one.message_class is new.message_class:
            after = timedelta(microseconds=new.at_us - one.at_us)
            earlier = policy.message_by_id.get(one.message_id)
            if earlier is not None and earlier.suppresses and timedelta(0) <= after < earlier.suppresses:
                yield f"{message.id}: {after} after {earlier.id}, which suppresses it"
            if message.suppresses and timedelta(0) <= -after < message.suppresses:
                yield f"{message.id}: would suppress {one.message_id}, planned {-after} after it"


def _names(cap: Cap, one: Contact) -> bool:
    pairs = ((cap.channel, one.channel), (cap.message_class, one.message_class), (cap.message_id, one.message_id))
    return all(named in (None, its) for named, its in pairs)


def _on_day_of(new: Contact, contacts: Sequence[Contact], zone: ZoneInfo) -> int:
    return sum(_day(one.at_us, zone) == _day(new.at_us, zone) for one in contacts)


def _day(at_us: int, zone: ZoneInfo) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + at_us * _US).astimezone(zone).date()


def _most_within(new: Contact, contacts: Sequence[Contact], window: timedelta) -> int:
    """Most contacts in an interval that is as long, open at its start, and holds the new one."""
    span_us = window // _US
    ends = [one.at_us for one in contacts if new.at_us <= one.at_us < new.at_us + span_us]
    return max((sum(end - span_us < one.at_us <= end for one in contacts) for end in ends), default=0)
