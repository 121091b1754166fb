"""From what is known of a user to a decision that the ledger agreed to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from serving.decision.caps import cap_windows, lookback_us
from serving.decision.decide import decide, draft
from serving.decision.output import output_json
from serving.decision.policy import Policy
from serving.decision.values import Contact, Decision, Degradation, Inputs
from serving.ports import Commit, CommitResult, Ledger, LedgerError
from serving.use_case.knowledge import Known, Patience, Reader
from serving.use_case.receipt import delivery_order, output_of, receipt_json, timeline_hash

T = TypeVar("T")

MAX_REFUSALS = 3
"""How often a decision is made again because other callers filled a window meanwhile; after that nothing is sent."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAnswer:
    """What the caller gets and what was remembered."""

    receipt: bytes  # canonical JSON
    output: bytes  # canonical JSON: the receipt's "output"
    stored: bool  # False: the ledger could not be reached; nothing is sent, and the receipt is not kept


@dataclass(slots=True, kw_only=True)
class LedgerOfOneCall:
    """Asks a ledger that failed no second time within one call: a batch of 500 would wait for 500 timeouts."""

    ledger: Ledger
    product: str
    patience: Patience
    is_down: bool = False

    def contacts(self, user_id: str, *, since_us: int) -> tuple[Contact, ...] | None:
        """Contacts, oldest first; None when the ledger is down."""
        return self._ask(lambda: self.ledger.contacts(self.product, user_id, since_us=since_us))

    def commit(self, commit: Commit) -> CommitResult | None:
        """What the ledger did; None when it is down."""
        return self._ask(lambda: self.ledger.commit(self.product, commit))

    def receipt_of_uncertain(self, decision_id: str) -> bytes | None:
        """The receipt under the id of a commit that got no reply, asked once although the ledger failed; None when nothing is found out."""
        try:
            return self.ledger.receipt(self.product, decision_id)
        except LedgerError as exc:
            _log.warning("whether %s was committed is unknown: %s", decision_id, exc)
            return None

    def _ask(self, question: Callable[[], T]) -> T | None:
        if self.is_down or self.patience.is_lost:
            return None
        try:
            return question()
        except LedgerError as exc:
            self.is_down = True
            _log.warning("degraded: %s", exc)
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Decides, proposes to the ledger, and decides again when it refuses."""

    policy: Policy
    reader: Reader
    ledger: LedgerOfOneCall
    versions: Mapping[str, str | None]
    new_id: Callable[[str], str]  # a fresh decision id, by user id

    def settle(self, known: Known, decision_id: str) -> DecisionAnswer:
        """Decide within the caps, whatever other callers do at the same time.

        After a commit whose reply is lost the ledger is asked for the receipt, once: what it holds is the answer. Otherwise the caller is
        told "none" under a new decision id that is not stored: should the commit have been made after all, or be made yet, its contact
        counts and its receipt contradicts no answer.
        """
        inputs, refusals = self._inputs(known, decision_id), 0
        while inputs.contacts is not None:
            decision, is_worth_explaining = draft(inputs, self.policy)
            if is_worth_explaining and inputs.contributions is None:
                inputs = replace(inputs, contributions=self.reader.explain(known))
                decision = decide(inputs, self.policy)
            answer = self._answer(known, inputs, decision, stored=True)
            result = self.ledger.commit(self._commit(known, inputs, decision, answer))
            if result is None:
                return self._after_lost_reply(known, inputs, answer)
            if result.committed:
                return answer if result.receipt == answer.receipt else _remembered(result.receipt)
            refusals += 1
            if refusals == MAX_REFUSALS:
                inputs = replace(inputs, refused_by=result.refused_by)  # closes every arm, so that the next commit cannot be refused
            inputs = self._with_contacts(inputs)
        return self._answer(known, inputs, decide(inputs, self.policy), stored=False)

    def _after_lost_reply(self, known: Known, inputs: Inputs, answer: DecisionAnswer) -> DecisionAnswer:
        receipt = self.ledger.receipt_of_uncertain(inputs.decision_id)
        if receipt is not None:
            return answer if receipt == answer.receipt else _remembered(receipt)
        inputs = self._with_contacts(replace(inputs, decision_id=self.new_id(known.user_id)))
        return self._answer(known, inputs, decide(inputs, self.policy), stored=False)

    def _inputs(self, known: Known, decision_id: str) -> Inputs:
        segment, segments = self.reader.segments(known)
        inputs = Inputs(
            decision_id=decision_id,
            user_id=known.user_id,
            as_of_us=known.as_of_us,
            n_events=known.n_events,
            features={} if known.vector is None else self.reader.by_name(known.vector),
            risk=known.risk,
            contributions=None,
            profile=known.profile,
            segment=segment,
            segments=segments,
            ages=self.reader.ages(known),
            contacts=(),
            degraded=known.degraded,
        )
        return self._with_contacts(inputs)

    def _with_contacts(self, inputs: Inputs) -> Inputs:
        contacts = self.ledger.contacts(inputs.user_id, since_us=inputs.as_of_us - lookback_us(self.policy))
        if contacts is None:
            is_erased = Degradation.USER_ERASED in inputs.degraded  # the ledger was not asked about them
            missing = () if is_erased else (Degradation.LEDGER_UNAVAILABLE,)
            return replace(inputs, contacts=None, degraded=(*inputs.degraded, *missing))
        return replace(inputs, contacts=contacts)

    def _answer(self, known: Known, inputs: Inputs, decision: Decision, *, stored: bool) -> DecisionAnswer:
        output = output_json(decision, self.versions)
        receipt = receipt_json(known, inputs, output, product=self.reader.product.name, versions=self.versions)
        return DecisionAnswer(receipt=receipt, output=output, stored=stored)

    def _commit(self, known: Known, inputs: Inputs, decision: Decision, answer: DecisionAnswer) -> Commit:
        return Commit(
            decision_id=decision.decision_id,
            user_id=known.user_id,
            receipt=answer.receipt,
            timeline_hash=timeline_hash(known.packed),
            timeline=known.packed,
            contact=_contact(decision),
            caps=cap_windows(decision, inputs, self.policy),
            outbox=delivery_order(decision),
        )


def _contact(decision: Decision) -> Contact | None:
    if decision.send_at_us is None or decision.message_class is None or decision.channel is None or decision.message_id is None:
        return None
    return Contact(
        decision_id=decision.decision_id,
        channel=decision.channel,
        message_class=decision.message_class,
        message_id=decision.message_id,
        at_us=decision.send_at_us,
    )


def _remembered(receipt: bytes) -> DecisionAnswer:
    """The answer of the first commit under this decision id."""
    return DecisionAnswer(receipt=receipt, output=output_of(receipt), stored=True)
