"""From what is known of users to decisions that the ledger agreed to, as many in one step as there are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import orjson

from models.timing.benefit import Advice, SlotBenefit
from serving.decision.caps import cap_windows, contact_of, permits, with_exhausted
from serving.decision.decide import Judgement, decide, judged
from serving.decision.local_time import zone_of
from serving.decision.output import output_json
from serving.decision.policy import Mode, Policy
from serving.decision.room import asks_for_room, knowing_room
from serving.decision.timing import trial_names
from serving.decision.values import Action, Contact, Decision, Degradation, Inputs, Permit, TimingSlot
from serving.ports import Commit, CommitResult, DamagedReceiptError, Ledger, LedgerError
from serving.use_case.knowledge import Known, Reader
from serving.use_case.receipt import delivery_order, output_of, receipt_json, timeline_hash

T = TypeVar("T")

MAX_REFUSALS = 3
"""How often a decision is made again because other callers filled a window meanwhile; after that nothing is sent."""

NEWS_TAKES_US = 300_000_000
"""How long after the last moment of delivery a place is still kept: what was delivered just in time may be told a little later."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAnswer:
    """What the caller gets and what was remembered."""

    receipt: bytes  # canonical JSON
    output: bytes  # canonical JSON: the receipt's "output"
    stored: bool  # False: the ledger could not be reached; nothing is sent, and the receipt is not kept
    labels: tuple[str, str, tuple[str, ...]]  # action, reason code, what was missing: what is counted


@dataclass(slots=True, kw_only=True)
class LedgerOfOneCall:
    """Asks a ledger that failed no second time within one call: a batch of 500 would wait for 500 timeouts."""

    ledger: Ledger
    product: str
    is_down: bool = False
    is_lost: bool = False  # not even receipts are told

    def contacts(self, user_id: str, *, since_us: int) -> tuple[Contact, ...] | None:
        """Contacts, oldest first; None when the ledger is down."""
        return self._ask(lambda: self.ledger.contacts(self.product, user_id, since_us=since_us))

    def commit_many(self, commits: Sequence[Commit]) -> list[CommitResult | None]:
        """What the ledger did with each; None where that is not known."""
        results = self._ask(lambda: self.ledger.commit_many(self.product, commits))
        return [None] * len(commits) if results is None else [_known_result(result) for result in results]

    def without_room(self, windows: Sequence[Permit]) -> set[Permit]:
        """Those windows of rate limits that have no room; where the ledger is down, none, and then nothing is committed either."""
        found = self._ask(lambda: self.ledger.without_room(self.product, windows)) if windows else []
        if found is None:
            self.is_lost = True  # nothing will be committed: there is no receipt to ask for
        return set(found or ())

    def receipt_of_uncertain(self, decision_id: str) -> bytes | None:
        """The receipt under the id of a commit that got no reply, although the ledger failed; None when nothing is found out."""
        if self.is_lost:
            return None
        try:
            return self.ledger.receipt(self.product, decision_id)
        except LedgerError as exc:
            self.is_lost = not isinstance(exc, DamagedReceiptError)  # of others it still tells
            _log.warning("whether %s was committed is unknown: %s", decision_id, exc)
            return None

    def _ask(self, question: Callable[[], T]) -> T | None:
        if self.is_down:
            return None
        try:
            return question()
        except LedgerError as exc:
            self.is_down = True
            _log.warning("degraded: %s", exc)
            return None


@dataclass(slots=True, kw_only=True)
class Case:
    """One decision on its way; the last proposal and what was decided on."""

    known: Known
    inputs: Inputs
    refusals: int = 0
    decision: Decision | None = None
    answer: DecisionAnswer | None = None  # as proposed
    settled: DecisionAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Decides, proposes to the ledger, and decides again what it refuses."""

    policy: Policy
    reader: Reader
    ledger: LedgerOfOneCall
    versions: Mapping[str, str | None]
    new_id: Callable[[str], str]  # a fresh decision id, by user id

    def settle(self, known: Sequence[Known], decision_ids: Sequence[str]) -> list[DecisionAnswer]:
        """Decide about each within the caps, whatever other callers do at the same time; one commit for all of them.

        Of several decisions about one user, each is made when the one before it is settled. After a commit whose reply is lost the ledger
        is asked for the receipt, once: what it holds is the answer. Otherwise the caller is told "none" under a new decision id that is
        not stored: should the commit have been made after all, or be made yet, its contact counts and its receipt contradicts no answer.
        """
        cases = [Case(known=one, inputs=self.inputs(one, id_)) for one, id_ in zip(known, decision_ids, strict=True)]
        turn = _first_of_each_user(cases)
        self._settle(turn)
        while turn := _first_of_each_user([case for case in cases if case.settled is None]):
            for case in turn:  # refused, or after another decision about the same user
                case.inputs = self._with_fresh_contacts(case.inputs)
            self._settle(turn)
        return [case.settled for case in cases if case.settled is not None]

    def _settle(self, turn: Sequence[Case]) -> None:
        asked = [case for case in turn if case.inputs.contacts is not None]
        results = dict(zip(map(id, asked), self.ledger.commit_many(self._proposed(asked)) if asked else (), strict=True))
        for case in turn:
            if case.inputs.contacts is None:
                case.settled = self._unstored(case.known, case.inputs)
            else:
                self._receive(case, results[id(case)])

    def _proposed(self, cases: Sequence[Case]) -> list[Commit]:
        """What to commit of each. One stage for all after the other: code that has just run is faster."""
        judgements = [judged(case.inputs, self.policy) for case in cases]
        if asks_for_room(self.policy) and self.policy.mode is Mode.LIVE:  # in staging the ledger refuses nothing
            judgements = self._knowing_room(cases, judgements)
        decisions = [self._with_timing(case, self._explained(case, one)).decision() for case, one in zip(cases, judgements, strict=True)]
        hashes = [timeline_hash(case.known.packed) for case in cases]
        outputs = [output_json(decision, self.versions) for decision in decisions]
        commits = []
        for case, decision, output, hash_ in zip(cases, decisions, outputs, hashes, strict=True):
            answer = self._answer(case.known, case.inputs, decision, output, hash_=hash_, stored=True)
            case.decision, case.answer = decision, answer
            commits.append(self._commit(case, decision, answer, hash_=hash_))
        return commits

    def _knowing_room(self, cases: Sequence[Case], judgements: Sequence[Judgement]) -> list[Judgement]:
        """With the rate limits that have no room in the inputs of each case that is proposed for the first time: before chance draws."""
        windows = [one.windows_ahead() if case.decision is None else () for case, one in zip(cases, judgements, strict=True)]
        full = self.ledger.without_room(tuple(dict.fromkeys(window for some in windows for window in some)))
        known = []
        for case, judgement, some in zip(cases, judgements, windows, strict=True):
            before, case.inputs = case.inputs, knowing_room(case.inputs, full.intersection(some))
            known.append(judgement if case.inputs is before else judged(case.inputs, self.policy))
        return known

    def _explained(self, case: Case, judgement: Judgement) -> Judgement:
        """With the causes in the case's inputs, where some arm is open."""
        if case.inputs.contributions is not None or not judgement.needs_explanation():
            return judgement
        contributions = self.reader.explain(case.known)
        lead = self.reader.min_cause_lead(contributions, self.policy.actionable_causes)
        case.inputs = replace(case.inputs, contributions=contributions, min_cause_lead=lead)
        return judgement.explained(case.inputs)

    def _with_timing(self, case: Case, judgement: Judgement) -> Judgement:
        """With what is known of better moments for what is sent; only where the policy lets it wait for one."""
        rule = self.policy.timing
        choice = None if rule is None else judgement.outreach()
        if rule is None or choice is None:
            return judgement
        curve = self.reader.curve(case.known, rule, zone_of(case.inputs.profile, self.policy), trial_names(choice))
        if curve is None:
            return judgement
        case.inputs = replace(
            case.inputs,
            timing=tuple(_slot(slot) for slot in curve.slots),
            timing_shown=curve.advice is not Advice.NOT_ENOUGH_DATA,
            timing_of=None if curve.action is None else choice.message.id,
        )
        return judgement.timed(case.inputs)

    def _receive(self, case: Case, result: CommitResult | None) -> None:
        """Take what the ledger said of a proposal."""
        assert case.answer is not None  # it was proposed
        if result is None:
            case.settled = self._after_lost_reply(case, case.answer)
        elif result.committed:
            case.settled = case.answer if result.receipt == case.answer.receipt else remembered_answer(result.receipt)
        else:
            case.inputs = self._after_refusal(case, result.refused_by)

    def _after_refusal(self, case: Case, refused_by: str | None) -> Inputs:
        """Remember a rate limit that is exhausted; after too many refusals close every arm, so that the next commit cannot be refused."""
        assert case.decision is not None  # it was proposed
        inputs = case.inputs
        for permit in permits(case.decision, self.policy):
            if permit.name == refused_by:
                inputs = replace(inputs, exhausted=with_exhausted(inputs.exhausted, permit.name, permit.until_us))
        if inputs.exhausted != case.inputs.exhausted:  # once for each window: they are few
            return replace(inputs, exhausted_before_draw=False)
        case.refusals += 1
        return inputs if case.refusals < MAX_REFUSALS else replace(inputs, refused_by=refused_by)

    def _after_lost_reply(self, case: Case, answer: DecisionAnswer) -> DecisionAnswer:
        receipt = self.ledger.receipt_of_uncertain(case.inputs.decision_id)
        if receipt is not None:
            return answer if receipt == answer.receipt else remembered_answer(receipt)
        new_id = self.new_id(case.known.user_id)
        return self._unstored(case.known, _without_ledger(replace(case.inputs, decision_id=new_id)))

    def inputs(self, known: Known, decision_id: str) -> Inputs:
        """Everything that the decision about one user depends on, under this id."""
        segment, segments = self.reader.segments(known)
        contacts = known.contacts
        inputs = Inputs(
            decision_id=decision_id,
            user_id=known.user_id,
            as_of_us=known.as_of_us,
            n_events=known.n_events,
            features={} if known.features is None else known.features,
            risk=known.risk,
            contributions=None,
            profile=known.profile,
            segment=segment,
            segments=segments,
            ages=known.ages,
            contacts=None if contacts is None else self._counting(contacts, known.as_of_us),
            degraded=(*known.degraded, Degradation.FEATURES_STALE) if self._is_stale(known) else known.degraded,
        )
        return inputs if contacts is not None else _without_ledger(inputs)

    def _is_stale(self, known: Known) -> bool:
        """Whether what is known is older than the policy allows; who was never heard of is not stale but unknown."""
        return 0 < known.newest_known_us < known.as_of_us - self.policy.max_feature_age_us

    def _with_fresh_contacts(self, inputs: Inputs) -> Inputs:
        if inputs.contacts is None:
            return inputs
        contacts = self.ledger.contacts(inputs.user_id, since_us=inputs.as_of_us - self.policy.lookback_us)
        if contacts is None:
            return _without_ledger(inputs)
        fresh = replace(inputs, contacts=self._counting(contacts, inputs.as_of_us))
        return replace(fresh, timing=(), timing_shown=False, timing_of=None)  # another message may be sent now

    def _counting(self, contacts: Sequence[Contact], as_of_us: int) -> tuple[Contact, ...]:
        """Those that may matter: recent or to come, and not reservations that have expired."""
        if not contacts:
            return ()
        since_us = as_of_us - self.policy.lookback_us
        return tuple(contact for contact in contacts if contact.at_us >= since_us and contact.counts_at(as_of_us))

    def _unstored(self, known: Known, inputs: Inputs) -> DecisionAnswer:
        decision = decide(inputs, self.policy)
        output = output_json(decision, self.versions)
        return self._answer(known, inputs, decision, output, hash_=timeline_hash(known.packed), stored=False)

    def _answer(self, known: Known, inputs: Inputs, decision: Decision, output: bytes, *, hash_: str, stored: bool) -> DecisionAnswer:
        receipt = receipt_json(known, inputs, output, hash_=hash_, product=self.reader.product.name, versions=self.versions)
        labels = (decision.action.value, decision.code, tuple(degradation.value for degradation in decision.degraded))
        return DecisionAnswer(receipt=receipt, output=output, stored=stored, labels=labels)

    def _commit(self, case: Case, decision: Decision, answer: DecisionAnswer, *, hash_: str) -> Commit:
        return Commit(
            decision_id=decision.decision_id,
            user_id=case.known.user_id,
            receipt=answer.receipt,
            timeline_hash=hash_,
            timeline=case.known.packed,
            contact=_contact(decision),
            caps=cap_windows(decision, case.inputs, self.policy),
            outbox=delivery_order(decision),
            as_of_us=case.inputs.as_of_us,
            permits=permits(decision, self.policy) if self.policy.rate_limits else (),
        )


def _first_of_each_user(cases: Sequence[Case]) -> list[Case]:
    """Those of the cases that no other one of the same user is waited for with."""
    return list({case.known.user_id: case for case in reversed(cases)}.values())[::-1]


def _slot(slot: SlotBenefit) -> TimingSlot:
    return TimingSlot(
        delay_us=round(slot.delay_s * 1e6),
        still_away=slot.still_away,
        receptive=slot.receptive,
        expected=slot.expected,
        low=slot.low,
        high=slot.high,
        gain=slot.gain,
        gain_se=slot.gain_se,
    )


def _known_result(result: CommitResult | LedgerError) -> CommitResult | None:
    if isinstance(result, LedgerError):
        _log.warning("degraded: %s", result)
        return None
    return result


def _without_ledger(inputs: Inputs) -> Inputs:
    """As decided on when past contacts are not known: nothing is sent."""
    is_erased = Degradation.USER_ERASED in inputs.degraded  # the ledger was not asked about them
    missing = () if is_erased else (Degradation.LEDGER_UNAVAILABLE,)
    return replace(inputs, contacts=None, degraded=(*inputs.degraded, *missing))


def _contact(decision: Decision) -> Contact | None:
    if decision.action is not Action.SEND:
        return None
    expires_us = decision.expires_at_us
    return contact_of(decision, expires_us=None if expires_us is None else expires_us + NEWS_TAKES_US)


def remembered_answer(receipt: bytes) -> DecisionAnswer:
    """The answer that a receipt holds: that of the first commit under its decision id."""
    output = output_of(receipt)
    content = orjson.loads(output)
    labels = (content["action"], content["reason"]["code"], tuple(content["degraded"]))
    return DecisionAnswer(receipt=receipt, output=output, stored=True, labels=labels)
