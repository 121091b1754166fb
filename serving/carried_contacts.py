"""The contacts that another policy would have seen: its own sends, where the policy that decided made others.

A timeline, with ``email_per_day: 1`` and a policy that writes from a lower risk:

    Mon 09:00 recorded: nothing sent     now: e-mail       carried
    Mon 11:00 recorded: nothing sent     now: the cap      the e-mail of 09:00 counts
    Mon 15:00 recorded: e-mail           now: the cap      what was recorded is left out from here on
    Tue 09:00 recorded: the cap (15:00)  now: e-mail       it was not sent on Monday at 15:00
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from serving.decision.canonical import iso_or_null
from serving.decision.caps import contact_of, permits, with_exhausted
from serving.decision.decide import Judgement, judged
from serving.decision.policy import Policy
from serving.decision.room import asks_for_room, knowing_room
from serving.decision.values import Action, Contact, Decision, Inputs, Permit
from serving.use_case.settle import MAX_REFUSALS

_DAY_US = timedelta(days=1) // timedelta(microseconds=1)
LEAST_LOOKBACK_US = 2 * _DAY_US
"""So far back every receipt shows contacts, whatever its policy."""
REMEMBERED_US = 90 * _DAY_US
"""For so long ledgers keep contacts."""
_MOST_WINDOWS = 100_000


@dataclass(slots=True)
class _Person:
    """What is carried from one decision about a user to the next; by decision id."""

    known: dict[str, Contact] = field(default_factory=dict)  # all that count
    own: set[str] = field(default_factory=set)  # those that only the other policy made
    undone: dict[str, int] = field(default_factory=dict)  # those that only the policy that decided made: their moments


@dataclass(slots=True, kw_only=True)
class CarriedContacts:
    """Decides receipt after receipt by one policy, each on the contacts that the policy itself has made so far.

    Receipts come in the order of their ``as_of``, those of one user at least. Assumed is:

    - A contact of before a user's first receipt stands as recorded.
    - A contact that was recorded for one of the receipts, and that the policy does not make there, never was.
    - A contact that the policy makes where none was recorded, or by another channel or at another moment, is delivered at its moment.
    - One that both make alike fares as later receipts show: delivered at another moment, or given back.
    - Rate limits are taken up in the order of the receipts; those that were exhausted then, and races that were lost, are forgotten.
    - Behaviour, profile and risk are those of the receipt: nobody answers a message that was never sent.

    Memory is that of each user's contacts within the policy's lookback, and of the ids of what was not sent within 90 days.
    """

    policy: Policy
    _people: dict[str, _Person] = field(default_factory=dict)
    _taken: Counter[tuple[str, int]] = field(default_factory=Counter)  # places under rate limits, by name and start of the window

    def decide(self, inputs: Inputs, recorded: Mapping[str, Any]) -> Decision:
        """What the policy decides, which is carried on; see `redecide`."""
        return self.redecide(inputs, recorded)[0]

    def redecide(self, inputs: Inputs, recorded: Mapping[str, Any]) -> tuple[Decision, Judgement]:
        """What the policy decides, which is carried on, and the judgement that it follows from.

        Parameters
        ----------
        inputs
            Of the receipt.
        recorded
            The receipt's output.
        """
        if inputs.contacts is None:  # the ledger was down: nothing can be sent
            judgement = judged(inputs, self.policy)
            return judgement.decision(), judgement
        person = self._people.setdefault(inputs.user_id, _Person())
        is_same = recorded["versions"]["policy"] == self.policy.hash
        contacts = self._contacts(person, inputs, shown_us=self.policy.lookback_us if is_same else LEAST_LOOKBACK_US)
        decision, judgement = self._decide(replace(inputs, contacts=contacts, exhausted={}, exhausted_before_draw=False, refused_by=None))
        _carry(person, decision, recorded)
        return decision, judgement

    def _contacts(self, person: _Person, inputs: Inputs, *, shown_us: int) -> tuple[Contact, ...]:
        """Contacts as the policy finds them; ``shown_us``: how far back the receipt shows all that counted."""
        shown, as_of_us = {contact.decision_id: contact for contact in inputs.contacts or ()}, inputs.as_of_us
        for id_, contact in shown.items():
            if id_ not in person.undone:
                mine = person.known.get(id_, contact)
                person.known[id_] = replace(mine, at_us=contact.at_us, expires_us=contact.expires_us)
        gone = [
            id_
            for id_, contact in person.known.items()
            if contact.at_us < as_of_us - self.policy.lookback_us
            or (id_ not in shown and id_ not in person.own and contact.at_us >= as_of_us - shown_us)  # given back
        ]
        for id_ in gone:
            del person.known[id_]
            person.own.discard(id_)
        person.undone = {id_: at_us for id_, at_us in person.undone.items() if at_us >= as_of_us - REMEMBERED_US}
        return tuple(sorted((one for one in person.known.values() if one.counts_at(as_of_us)), key=lambda one: one.at_us))

    def _decide(self, inputs: Inputs) -> tuple[Decision, Judgement]:
        """Within the rate limits, as `serving.use_case.settle` does: exhausted ones are told, and after too many every arm closes."""
        inputs, refusals = knowing_room(inputs, self._full_ahead(inputs)), 0
        decision = (judgement := judged(inputs, self.policy)).decision()
        while full := self._exhausted(decision, inputs.as_of_us):
            exhausted = with_exhausted(inputs.exhausted, full.name, full.until_us)
            refusals += exhausted == inputs.exhausted
            refused_by = full.name if refusals == MAX_REFUSALS else None
            inputs = replace(inputs, exhausted=exhausted, exhausted_before_draw=False, refused_by=refused_by)
            decision = (judgement := judged(inputs, self.policy)).decision()
        return decision, judgement

    def _full_ahead(self, inputs: Inputs) -> list[Permit]:
        """What is known to have no room before chance draws; nothing where the policy draws nothing."""
        windows = judged(inputs, self.policy).windows_ahead() if asks_for_room(self.policy) else ()
        return [window for window in windows if self._taken[window.name, window.since_us] >= window.limit]

    def _exhausted(self, decision: Decision, as_of_us: int) -> Permit | None:
        """A rate limit without room for the contact; where all have room, its places are taken."""
        if not self.policy.rate_limits or not _acts(decision):
            return None
        wanted = permits(decision._replace(action=Action.SEND), self.policy)
        full = next((permit for permit in wanted if self._taken[permit.name, permit.since_us] >= permit.limit), None)
        if full is None:
            self._taken.update((permit.name, permit.since_us) for permit in wanted)
            self._forget_windows(as_of_us)
        return full

    def _forget_windows(self, as_of_us: int) -> None:
        if len(self._taken) > _MOST_WINDOWS:
            since_us = as_of_us - LEAST_LOOKBACK_US - max(rate.per_us for rate in self.policy.rate_limits)
            self._taken = Counter({window: count for window, count in self._taken.items() if window[1] >= since_us})


def _acts(decision: Decision) -> bool:
    """A decision of staging counts as what it would have done."""
    return decision.action in (Action.SEND, Action.STAGE)


def _carry(person: _Person, decision: Decision, recorded: Mapping[str, Any]) -> None:
    id_, was_sent = decision.decision_id, recorded["action"] == Action.SEND
    is_alike = was_sent and _acts(decision) and _way(decision) == (recorded["message"]["channel"], recorded["moment"]["send_at"])
    if _acts(decision):
        person.known[id_] = contact_of(decision)
        if not is_alike:
            person.own.add(id_)
    if was_sent and not is_alike:
        person.undone[id_] = decision.as_of_us


def _way(decision: Decision) -> tuple[str | None, str | None]:
    return decision.channel, iso_or_null(decision.send_at_us)
