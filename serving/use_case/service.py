"""Decide about users: read all that is stored of them at once, score them (`knowledge`), settle them with the ledger (`settle`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from features.core.product import Product
from features.core.program import Program
from serving.decision.ids import ENTROPY_BYTES, decision_id, tag_of, user_tag
from serving.decision.policy import Policy
from serving.policy_file import policy_document
from serving.ports import Ledger, LedgerError, PersonStore, PolicyArchive, Scorer, Seed, StoredPerson
from serving.use_case.knowledge import Reader
from serving.use_case.settle import DecisionAnswer, LedgerOfOneCall, Settlement, remembered_answer


@dataclass(frozen=True, kw_only=True)
class DecisionService:
    """Decides about users of one product, with one policy and one model.

    Immutable: another policy or model is another service (`following` swaps them), so that every answer carries exactly one version of
    each. The policy goes into the archive (when there is one) before it decides anything.
    """

    product: Product
    policy: Policy
    scorer: Scorer | None
    people: PersonStore
    ledger: Ledger
    program: Program
    archive: PolicyArchive | None = None
    entropy: Callable[[int], bytes] = os.urandom

    def __post_init__(self) -> None:
        if self.archive is not None:
            self.archive.save(self.policy.hash, policy_document(self.policy))

    @cached_property
    def versions(self) -> dict[str, str | None]:
        """Of model, policy and features, as every answer states them."""
        model = None if self.scorer is None else self.scorer.version
        return {"model": model, "policy": self.policy.hash, "features": self.program.catalogue.fingerprint}

    def decide_one(self, user_id: str, *, now_us: int, decision_id: str | None = None) -> DecisionAnswer:
        """Decide about one user at max(now, newest known event), within the caps, and remember it.

        The same ``decision_id`` again gives the first answer again. Where the ledger fails while it commits, the answer ("none") has an id
        of its own. An unknown user is an ordinary one about whom nothing is known. An id that is attached to a user is that user: the
        decision is about them, and their caps count.

        Raises
        ------
        ValueError
            If ``decision_id`` is not one of this user's.
        """
        people = self._read([user_id], now_us)
        if decision_id is None:
            return self._settle(people, now_us, [self._new_id(people[0].user_id, now_us)])[0]
        tag = tag_of(decision_id)
        if tag == user_tag(people[0].user_id):
            return self._settle(people, now_us, [decision_id])[0]
        if tag is None or tag not in {user_tag(one) for one in people[0].previous_ids}:
            raise ValueError(f"got the decision id {decision_id!r}, expected one made for this user; leave it out to have one made")
        return self._first_answer(decision_id)

    def decide_many(self, user_ids: Sequence[str], *, now_us: int, seeds: Sequence[Seed | None] | None = None) -> list[DecisionAnswer]:
        """Decide about several users, in the order given; the same user twice is decided twice, within the caps.

        Where there is a seed the decision's id follows from it, and what was decided under that id before is the answer.
        """
        if not user_ids:
            return []
        seeded = [None] * len(user_ids) if seeds is None else seeds
        people = [_unless_lost(person, seed) for person, seed in zip(self._read(user_ids, now_us), seeded, strict=True)]
        ids = [self._id(person.user_id, now_us, seed) for person, seed in zip(people, seeded, strict=True)]
        earlier = [self._before_alias(person.previous_ids, seed) for person, seed in zip(people, seeded, strict=True)]
        fresh = [place for place, answer in enumerate(earlier) if answer is None]
        answers = iter(self._settle([people[place] for place in fresh], now_us, [ids[place] for place in fresh]))
        return [next(answers) if answer is None else answer for answer in earlier]

    def _id(self, user_id: str, now_us: int, seed: Seed | None) -> str:
        is_new = seed is None or seed.is_lost
        return self._new_id(user_id, now_us) if is_new or seed is None else decision_id(user_id, seed.now_us, seed.entropy)

    def _before_alias(self, previous_ids: Sequence[str], seed: Seed | None) -> DecisionAnswer | None:
        """What was decided under the seed when the chain of aliases still ended at one of these ids."""
        if seed is None or seed.is_lost or seed.is_new:
            return None
        try:
            receipts = [self.ledger.receipt(self.product.name, decision_id(one, seed.now_us, seed.entropy)) for one in previous_ids]
        except LedgerError:  # then the commit fails too, or finds the receipt: one Redis holds both
            return None
        return next((remembered_answer(receipt) for receipt in receipts if receipt is not None), None)

    def _read(self, user_ids: Sequence[str], now_us: int) -> list[StoredPerson]:
        return self.people.read(user_ids, since_us=now_us - self.policy.lookback_us)  # as_of is never before now

    def _settle(self, people: Sequence[StoredPerson], now_us: int, ids: Sequence[str]) -> list[DecisionAnswer]:
        settlement = Settlement(
            policy=self.policy,
            reader=self._reader,
            ledger=LedgerOfOneCall(ledger=self.ledger, product=self.product.name),
            versions=self.versions,
            new_id=lambda user_id: self._new_id(user_id, now_us),
        )
        return settlement.settle(self._reader.read(people, now_us), ids)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(product=self.product, program=self.program, scorer=self.scorer)

    def _new_id(self, user_id: str, now_us: int) -> str:
        return decision_id(user_id, now_us, self.entropy(ENTROPY_BYTES))

    def _first_answer(self, decision_id: str) -> DecisionAnswer:
        """The answer under an id that was made before its user was attached to another."""
        try:
            receipt = self.ledger.receipt(self.product.name, decision_id)
        except LedgerError as exc:
            raise ValueError(f"the decision {decision_id!r} cannot be looked up: {exc}") from exc
        if receipt is None:
            raise ValueError(
                f"got the decision id {decision_id!r} of an id that now stands for another user; leave it out to have one made"
            )
        return remembered_answer(receipt)


def _unless_lost(person: StoredPerson, seed: Seed | None) -> StoredPerson:
    """The person without contacts where the request may be one that was answered before: nothing is sent twice."""
    return replace(person, contacts=None) if seed is not None and seed.is_lost else person
