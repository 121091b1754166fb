"""Decide about users: read and score all of them at once (`knowledge`), then settle each with the ledger (`settle`)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from features.core.product import Product
from features.core.program import Program
from features.ports import IdentityStore, ProfileStore, StoreError, StoreTimeoutError, TimelineStore
from serving.decision.ids import ENTROPY_BYTES, decision_id, tag_of, user_tag
from serving.decision.policy import Policy
from serving.decision.values import Degradation
from serving.identity import Person, whom
from serving.policy_file import policy_document
from serving.ports import Ledger, LedgerError, PolicyArchive, Scorer
from serving.use_case.knowledge import Known, Patience, Reader
from serving.use_case.receipt import output_of
from serving.use_case.settle import DecisionAnswer, LedgerOfOneCall, Settlement

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DecisionService:
    """Decides about users of one product, with one policy and one model.

    Immutable: another policy or model is another service, so that every answer carries exactly one version of each. The policy goes into
    the archive (when there is one) before it decides anything.
    """

    product: Product
    policy: Policy
    scorer: Scorer | None
    timelines: TimelineStore
    profiles: ProfileStore
    ledger: Ledger
    program: Program
    archive: PolicyArchive | None = None
    identities: IdentityStore | None = None  # None: every id is a person of its own
    entropy: Callable[[int], bytes] = os.urandom

    def __post_init__(self) -> None:
        if self.archive is not None:
            self.archive.save(self.policy.hash, policy_document(self.policy))

    @property
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
        if decision_id is None:
            return self._decide([user_id], now_us)[0]
        tag, patience = tag_of(decision_id), Patience()
        ends, is_safe = self._whom([user_id], patience)
        if tag == user_tag(ends[0].user_id):
            return self._settle(ends, now_us, [decision_id], patience, ledger_is_down=not is_safe)[0]
        if tag != user_tag(user_id):
            raise ValueError(f"got the decision id {decision_id!r}, expected one made for this user; leave it out to have one made")
        return self._first_answer(decision_id)

    def decide_many(self, user_ids: Sequence[str], *, now_us: int) -> list[DecisionAnswer]:
        """Decide about several users, in the order given; the same user twice is decided twice, within the caps."""
        return self._decide(user_ids, now_us)

    def _decide(self, user_ids: Sequence[str], now_us: int) -> list[DecisionAnswer]:
        patience = Patience()
        people, is_safe = self._whom(user_ids, patience)
        ids = [decision_id(person.user_id, now_us, self.entropy(ENTROPY_BYTES)) for person in people]
        return self._settle(people, now_us, ids, patience, ledger_is_down=not is_safe)

    def _settle(
        self, people: Sequence[Person], now_us: int, ids: Sequence[str], patience: Patience, *, ledger_is_down: bool
    ) -> list[DecisionAnswer]:
        reader = Reader(
            product=self.product,
            program=self.program,
            scorer=self.scorer,
            timelines=self.timelines,
            profiles=self.profiles,
            patience=patience,
        )
        ledger = LedgerOfOneCall(ledger=self.ledger, product=self.product.name, patience=patience, is_down=ledger_is_down)

        def new_id(user_id: str) -> str:
            return decision_id(user_id, now_us, self.entropy(ENTROPY_BYTES))

        settlement = Settlement(policy=self.policy, reader=reader, ledger=ledger, versions=self.versions, new_id=new_id)
        erased = replace(settlement, ledger=replace(ledger, is_down=True))  # nothing about them is remembered
        return [
            (erased.settle(_flagged(known), id_) if person.is_erased else settlement.settle(known, id_))
            for person, known, id_ in zip(people, reader.read([person.user_id for person in people], now_us), ids, strict=True)
        ]

    def _whom(self, user_ids: Sequence[str], patience: Patience) -> tuple[list[Person], bool]:
        """Whom the ids stand for, and whether that is known. While it is not, nothing may be sent: whose caps would count."""
        strangers = [Person(user_id=user_id, is_erased=False) for user_id in user_ids]
        if self.identities is None:
            return strangers, True
        try:
            return whom(self.identities, user_ids), True
        except StoreError as exc:
            patience.is_lost = isinstance(exc, StoreTimeoutError)
            _log.warning("degraded: %s", exc)
            return strangers, False

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
        return DecisionAnswer(receipt=receipt, output=output_of(receipt), stored=True)


def _flagged(known: Known) -> Known:
    return replace(known, degraded=(*known.degraded, Degradation.USER_ERASED))
