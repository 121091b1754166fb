"""A running service that follows ``policy.yaml`` and MLflow's aliases: a thread that looks, and the one fetcher of all services."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING

from serving.bootstrap.installation import Installation, has_registry, now_us

if TYPE_CHECKING:
    from models.bundle import Bundle
    from serving.adapters.bundle_source import BundleSource
    from serving.adapters.registry_process import RegistryProcess
    from serving.adapters.shadow import Shadow
    from serving.ports import Scorer
    from serving.use_case import CurrentDecider, DecisionService, Follower

_log = logging.getLogger(__name__)

_FIRST_LOOK_S = 60.0  # at the start; past that the last local copy serves until MLflow answers
_GRACE_S = 5.0


@dataclass(slots=True, kw_only=True)
class Following:
    """What is served at the moment, and what keeps it up to date."""

    follower: Follower
    registry: RegistryProcess | None  # None: the bundles that are here are all there is
    every_s: float  # 0: as it was at the start
    served: Callable[[DecisionService], None]  # told of what is served, at the start and after each swap
    failed: Callable[[str], None]  # told of each look at which something was kept as it was: policy, model or registry
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None

    @property
    def decider(self) -> CurrentDecider:
        """Decides with what is served at the moment."""
        return self.follower.decider

    def start(self) -> None:
        """Look every ``every_s`` from now on, on a thread of its own."""
        self.served(self.decider.service)
        if self.every_s > 0:
            self._thread = Thread(target=self._run, name="follow", daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Look once; what goes wrong is told, and changes nothing that is served."""
        if self.registry is not None:
            self.registry.keep()
        if self.follower.look():
            self.served(self.decider.service)
        for what in self.faults():
            self.failed(what)

    def faults(self) -> dict[str, str]:
        """What is kept as it was, and why."""
        registry = None if self.registry is None else self.registry.fault()
        return {**self.follower.faults, **({} if registry is None else {"registry": registry})}

    def close(self) -> None:
        """End the thread and the fetcher."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_GRACE_S)
        if self.registry is not None:
            self.registry.close()

    def _run(self) -> None:
        while not self._stop.wait(self.every_s):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a thread that ended would follow nothing any more, and nobody would know
                _log.exception("looking for another policy or model failed; what is served stays")
                self.failed("look")


def follow(
    opened: Installation, *, served: Callable[[DecisionService], None] = lambda _: None, failed: Callable[[str], None] = lambda _: None
) -> Following:
    """Load what is to be served, from the registry where there is one, and make what keeps it up to date; nothing is looked at yet.

    Raises
    ------
    DeclarationError
        If the policy cannot be used.
    """
    from serving.adapters.model_registry import CHAMPION
    from serving.adapters.policy_source import PolicySource
    from serving.use_case import CurrentDecider, Followed, Follower

    registry = _registry(opened) if opened.asks_registry else None
    file = opened.settings.product_folder / "policy.yaml"
    policy = Followed.begin("policy", PolicySource(file=file, product=opened.product), lambda: opened.policy, rests=True)
    scorer: Followed[Scorer | None] = Followed.begin("model", bundle_source(opened, CHAMPION), lambda: opened.local_scorer)
    decider = CurrentDecider(opened.decisions_by(policy.value, scorer.value))
    follower = Follower(decider=decider, policy=policy, scorer=scorer)
    return Following(follower=follower, registry=registry, every_s=opened.settings.follow_s, served=served, failed=failed)


def shadow(opened: Installation) -> Shadow:
    """Make what scores receipts with the challenger of the moment."""
    from serving.adapters.model_registry import SHADOW
    from serving.adapters.shadow import Shadow
    from serving.use_case import Followed

    scorer: Followed[Scorer | None] = Followed.begin("challenger", bundle_source(opened, SHADOW), lambda: None)
    return Shadow(scorer=scorer, program=opened.program)


def bundle_source(opened: Installation, alias: str) -> BundleSource:
    """Make the source of the bundle that an alias points at."""
    from serving.adapters.bundle_source import BundleSource

    cache_dir = opened.settings.home.bundles_dir(opened.product.name)
    return BundleSource(cache_dir=cache_dir, alias=alias, product=opened.product, warm=lambda bundle: warm_scorer(opened, bundle))


def warm_scorer(opened: Installation, bundle: Bundle) -> None:
    """Have everything made that a model makes on first use: for one user, for many, for an explanation and for a curve."""
    import numpy as np

    from features.core.kernel import vectors
    from features.core.timeline import unpack
    from features.core.weekly import instants_of
    from models.timing.benefit import When

    rows = vectors([b"", b""], np.full(2, now_us(), dtype=np.int64), opened.program)
    bundle.risk(rows[:1], [{}])
    bundle.risk(rows, [{}, {}])
    bundle.segments(rows)
    bundle.contributions(rows[0], {})
    when = When(as_of_us=now_us(), utc_offset_s=0, activity_us=instants_of(unpack(b"").events, np.zeros(1, dtype=np.int64)))
    tried = () if bundle.timing is None or bundle.timing.response is None else bundle.timing.response.actions
    bundle.timing_curve(rows[0], {}, when=when, delays_s=[0.0, 3600.0], names=tried)


def _registry(opened: Installation) -> RegistryProcess:
    """Start asking the registry, and wait for the first answer."""
    from serving.adapters.registry_process import RegistryProcess

    name, settings = opened.product.name, opened.settings
    bundles_dir = settings.home.bundles_dir(name)
    registry = RegistryProcess(product=name, bundles_dir=bundles_dir, every_s=settings.follow_s, is_there=_is_there)
    registry.keep()
    registry.wait_for_first_look(_FIRST_LOOK_S)
    return registry


def _is_there() -> bool:
    return has_registry(os.environ)
