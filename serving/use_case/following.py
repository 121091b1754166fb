"""Policy and model follow their sources while decisions are made: looked at off the request path, swapped as one.

What is served at a moment is one immutable `DecisionService`. A step of decisions takes it once, by reading one attribute, so that every
answer carries one policy and one model that were served together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from serving.decision.decide import decide
from serving.decision.policy import Policy
from serving.decision.values import Inputs
from serving.ports import Scorer
from serving.use_case.service import DecisionService
from serving.use_case.settle import DecisionAnswer

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_log = logging.getLogger(__name__)


class Source(Protocol[T_co]):
    """Where something comes from that may change while it is used. Either method may raise whatever its source raises."""

    def identity(self) -> str:
        """Name what is there at the moment; cheap, the same for the same content."""

    def load(self) -> T_co:
        """What is there at the moment, checked and ready."""


@dataclass(slots=True, kw_only=True)
class Followed(Generic[T]):
    """The last good value of a source, and why it is not a newer one."""

    what: str  # "policy"
    source: Source[T]
    value: T
    identity: str | None  # of the value; None where it did not come from the source
    rests: bool = False  # taken only when two looks in a row found it: a file may be half written
    fault: str | None = None
    _seen: str | None = None

    @classmethod
    def begin(cls, what: str, source: Source[T], otherwise: Callable[[], T], *, rests: bool = False) -> Followed[T]:
        """Start with what the source has, or where that cannot be used with something else."""
        followed = cls(what=what, source=source, value=None, identity=None)  # type: ignore[arg-type]  # set right below
        followed.look()
        if followed.fault is not None:
            followed.value = otherwise()
        followed.rests = rests
        return followed

    def look(self) -> None:
        """Take the source's value where it is another one; where that fails, keep the old one and say so once."""
        try:
            identity = self.source.identity()
            if identity != self.identity and not (self.rests and identity != self._seen):
                value = self.source.load()
                if self.source.identity() != identity:
                    return  # changed while it was read: the next look takes it
                self.value, self.identity = value, identity
                _log.info("the %s is now that of %s", self.what, identity[:16] or "nothing")
            self._seen = identity
            if identity == self.identity:  # what rests has not been tried yet: until then the last fault holds
                self.fault = None
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with something new, the old one goes on
            self._fails(f"{type(exc).__name__}: {exc}")

    def _fails(self, fault: str) -> None:
        if fault != self.fault:
            _log.warning("the %s stays as it was: %s", self.what, fault)
        self.fault = fault


@dataclass(slots=True)
class CurrentDecider:
    """Decides with the service of the moment; setting ``service`` is the swap."""

    service: DecisionService

    @property
    def decide_many(self) -> Callable[..., list[DecisionAnswer]]:
        """`DecisionService.decide_many` of the service of the moment: one call is made by one and the same service."""
        return self.service.decide_many


@dataclass(slots=True, kw_only=True)
class Follower:
    """Looks at the sources of policy and model, and swaps what is served where one has changed."""

    decider: CurrentDecider
    policy: Followed[Policy]
    scorer: Followed[Scorer | None]
    fault: str | None = None  # of the last attempt to serve what was loaded
    _retired: DecisionService | None = field(default=None)  # freed here, at the next look, and not by the thread that decides

    def look(self) -> bool:
        """Look once; whether something else is served now. Never raises for what the sources hold."""
        self._retired = None
        self.policy.look()
        self.scorer.look()
        serving = self.decider.service
        if serving.policy is self.policy.value and serving.scorer is self.scorer.value:
            self.fault = None
            return False
        return self._swap(serving)

    @property
    def faults(self) -> dict[str, str]:
        """What is kept as it was, and why."""
        faults = {"policy": self.policy.fault or self.fault, "model": self.scorer.fault}
        return {what: fault for what, fault in faults.items() if fault is not None}

    def _swap(self, serving: DecisionService) -> bool:
        try:
            decide(_NOBODY, self.policy.value)  # a policy that cannot decide would fail every request
            service = replace(serving, policy=self.policy.value, scorer=self.scorer.value)  # the policy is in the archive from here on
        except Exception as exc:  # noqa: BLE001 - as above
            fault = f"{type(exc).__name__}: {exc}"
            if fault != self.fault:
                _log.warning("policy and model stay as they were: %s", fault)
            self.fault = fault
            return False
        self._retired, self.decider.service, self.fault = serving, service, None
        _log.info("serving with %s", service.versions)
        return True


_NOBODY = Inputs(
    decision_id="",
    user_id="",
    as_of_us=1_000_000_000_000_000,
    n_events=0,
    features={},
    risk=None,
    contributions=None,
    profile={},
    segment=None,
    contacts=(),
)
