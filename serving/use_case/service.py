"""Decide about users: read and score all of them at once (`knowledge`), then settle each with the ledger (`settle`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from features.core.product import Product
from features.core.program import Program
from features.ports import ProfileStore, TimelineStore
from serving.decision.ids import ENTROPY_BYTES, decision_id, tag_of, user_tag
from serving.decision.policy import Policy
from serving.policy_file import policy_document
from serving.ports import Ledger, PolicyArchive, Scorer
from serving.use_case.knowledge import Patience, Reader
from serving.use_case.settle import DecisionAnswer, LedgerOfOneCall, Settlement


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
        of its own. An unknown user is an ordinary one about whom nothing is known.

        Raises
        ------
        ValueError
            If ``decision_id`` is not one of this user's.
        """
        if decision_id is not None and tag_of(decision_id) != user_tag(user_id):
            raise ValueError(f"got the decision id {decision_id!r}, expected one made for this user; leave it out to have one made")
        return self._decide([user_id], now_us, [decision_id])[0]

    def decide_many(self, user_ids: Sequence[str], *, now_us: int) -> list[DecisionAnswer]:
        """Decide about several users, in the order given; the same user twice is decided twice, within the caps."""
        return self._decide(user_ids, now_us, [None] * len(user_ids))

    def _decide(self, user_ids: Sequence[str], now_us: int, ids: Sequence[str | None]) -> list[DecisionAnswer]:
        patience = Patience()
        reader = Reader(
            product=self.product,
            program=self.program,
            scorer=self.scorer,
            timelines=self.timelines,
            profiles=self.profiles,
            patience=patience,
        )
        ledger = LedgerOfOneCall(ledger=self.ledger, product=self.product.name, patience=patience)

        def new_id(user_id: str) -> str:
            return decision_id(user_id, now_us, self.entropy(ENTROPY_BYTES))

        settlement = Settlement(policy=self.policy, reader=reader, ledger=ledger, versions=self.versions, new_id=new_id)
        return [
            settlement.settle(known, id_ or new_id(known.user_id)) for known, id_ in zip(reader.read(user_ids, now_us), ids, strict=True)
        ]
