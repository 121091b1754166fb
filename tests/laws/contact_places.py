"""Where the state machine decides: over the memory twins, or over Redis and Feast; with a ledger that can end the process in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import redis

from features.core.alias import Alias
from features.core.product import Product
from features.core.program import Program
from serving import bootstrap
from serving.adapters.policy_archive import MemoryPolicyArchive
from serving.adapters.separate_stores import SeparateStores
from serving.decision.policy import Policy
from serving.erasure import Erasure
from serving.identity import FollowingLedger
from serving.ports import Commit, CommitResult, LedgerError
from serving.settings import read_settings
from serving.use_case import DecisionService
from tests.certain import certain_product
from tests.serving_world import FixedScorer
from tests.unified_world import UnifiedWorld

Death = Literal["before the commit", "after the commit"]
SCORER = FixedScorer(said_risk=0.9, said_contributions={"silence": 1.0, "base": -2.0})


class Killed(BaseException):
    """The process ended here."""


@dataclass(slots=True, kw_only=True)
class Witness:
    """A ledger that says what it granted, and that can end the process."""

    inner: Any
    granted: Callable[[Commit], None]
    dies: Death | None = None

    def commit_many(self, product: str, commits: Sequence[Commit]) -> list[CommitResult | LedgerError]:
        """As the ledger inside; of what is new there, and sends, is told."""
        if self.dies == "before the commit":
            raise Killed
        known = [self.inner.receipt(product, commit.decision_id) is not None for commit in commits]
        results: list[CommitResult | LedgerError] = self.inner.commit_many(product, commits)
        for commit, was_known, result in zip(commits, known, results, strict=True):
            if isinstance(result, CommitResult) and result.committed and commit.contact is not None and not was_known:
                self.granted(commit)
        if self.dies == "after the commit":
            raise Killed
        return results

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Place(Protocol):
    """One product, its stores and its ledger."""

    product: Product
    program: Program
    archive: Any
    timelines: Any
    profiles: Any
    identities: Any
    ledger: Any

    def empty(self) -> None:
        """Forget everything."""

    def reopen(self) -> None:
        """As a process that starts: whatever is not stored is gone."""

    def attach(self, alias: Alias) -> Any:
        """Carry out an alias."""

    def erase(self, user_id: str) -> tuple[str, ...]:
        """Erase a person; all their ids."""

    def service(self, policy: Policy, witness: Callable[[Commit], None], dies: Death | None = None) -> DecisionService:
        """What decides."""


@dataclass(slots=True, kw_only=True)
class MemoryPlace:
    """The shipped twins."""

    product: Product
    program: Program
    clock_us: Callable[[], int]
    archive: MemoryPolicyArchive = field(default_factory=MemoryPolicyArchive)
    world: UnifiedWorld = field(init=False)

    def __post_init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        """Forget everything."""
        self.world = UnifiedWorld(self.product, clock_us=self.clock_us)

    def reopen(self) -> None:
        """Nothing: the twins live as long as the process."""

    timelines = property(lambda self: self.world.timelines)
    profiles = property(lambda self: self.world.profiles)
    identities = property(lambda self: self.world.identities)
    ledger = property(lambda self: self.world.ledger)

    def attach(self, alias: Alias) -> Any:
        """Carry out an alias."""
        return self.world.attacher.attach(alias)

    def erase(self, user_id: str) -> tuple[str, ...]:
        """Erase a person; all their ids."""
        places = {"timelines": self.timelines, "profiles": self.profiles}
        return Erasure(identities=self.identities, places=places, compact=lambda: None).erase(user_id).user_ids

    def service(self, policy: Policy, witness: Callable[[Commit], None], dies: Death | None = None) -> DecisionService:
        """What decides."""
        stores = {"timelines": self.timelines, "profiles": self.profiles, "identities": self.identities}
        ledger = Witness(inner=self.ledger, granted=witness, dies=dies)
        return DecisionService(
            product=self.product,
            policy=policy,
            scorer=SCORER,
            people=SeparateStores(product=self.product.name, ledger=self.ledger, **stores),
            ledger=FollowingLedger(inner=ledger, contact_book=self.ledger, identities=self.identities),
            program=self.program,
            archive=self.archive,
        )


class RedisPlace:
    """A whole installation over Redis and Feast."""

    def __init__(self, home: Path, redis_url: str) -> None:
        environment = {"STILLHERE_HOME": str(home), "STILLHERE_PRODUCT": str(certain_product(home.with_name(f"{home.name}-product")))}
        self._settings, self._redis_url = read_settings(environment), redis_url
        self._open()
        self.program = self._opened.program

    def _open(self) -> None:
        self._opened = bootstrap.installation(self._settings, self._redis_url, asks_registry=False)

    product = property(lambda self: self._opened.product)
    archive = property(lambda self: self._opened.archive)
    timelines = property(lambda self: self._opened.timelines)
    profiles = property(lambda self: self._opened.profiles)
    identities = property(lambda self: self._opened.identities)
    ledger = property(lambda self: self._opened.ledger)

    def empty(self) -> None:
        """Forget everything in Redis."""
        with redis.Redis.from_url(self._redis_url) as client:
            client.flushdb()

    def reopen(self) -> None:
        """Close every connection of the ledger and put all together anew, but for what was declared and takes long to read."""
        kept = {name: getattr(self._opened, name) for name in ("product", "feature_store")}
        self._opened.close()
        self._open()
        self._opened.__dict__.update(kept)

    def attach(self, alias: Alias) -> Any:
        """Carry out an alias."""
        return self._opened.attacher.attach(alias)

    def erase(self, user_id: str) -> tuple[str, ...]:
        """Erase a person; all their ids."""
        return replace(self._opened.erasure(), compact=lambda: None).erase(user_id).user_ids  # what is on disk is another test's

    def service(self, policy: Policy, witness: Callable[[Commit], None], dies: Death | None = None) -> DecisionService:
        """What decides."""
        ledger = Witness(inner=self.ledger, granted=witness, dies=dies)
        following = FollowingLedger(inner=ledger, contact_book=self.ledger, identities=self.identities)
        return DecisionService(
            product=self.product,
            policy=policy,
            scorer=SCORER,
            people=self._opened.people,
            ledger=following,
            program=self.program,
            archive=self.archive,
        )
