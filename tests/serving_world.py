"""What the serving tests build from: inputs and policies by hand, and a whole service over the shipped memory twins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.core.event import Event, to_us
from features.core.product import Product
from features.core.program import compile_program
from features.core.timeline import timeline_from_events
from serving.adapters.memory_ledger import MemoryLedger
from serving.adapters.policy_archive import MemoryPolicyArchive
from serving.adapters.separate_stores import SeparateStores
from serving.decision.policy import MessageClass, Policy
from serving.decision.record import inputs_from_json
from serving.decision.values import Contact, Inputs
from serving.policy_file import policy_from_document
from serving.use_case import DecisionAnswer, DecisionService

TESTS = Path(__file__).parent
ROOT = TESTS.parent
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
PATIENCE_S = 30.0
"""How long a request waits for its turn: a machine that stands still for a second is no overload; the tests of the gatherer say what is."""
PATIENT = {"STILLHERE_WAIT_S": f"{PATIENCE_S:g}"}


def golden_policy(name: str = "small") -> Policy:
    """A policy of the golden corpus."""
    return policy_from_document((TESTS / "golden" / "policies" / f"{name}.json").read_bytes())


def golden_inputs(name: str = "high_risk_brings_an_email_about_the_strongest_actionable_cause", **changes: Any) -> Inputs:
    """Inputs of a golden case, some of them changed."""
    case = orjson.loads((TESTS / "golden" / "decisions" / f"{name}.json").read_bytes())
    return replace(inputs_from_json(case["inputs"]), **changes)


def contact(channel: str = "email", message_id: str = "checking_in", *, at_us: int, decision_id: str = "d") -> Contact:
    message_class = MessageClass.ASSIST if channel == "in_app" else MessageClass.OUTREACH
    return Contact(decision_id=decision_id, channel=channel, message_class=message_class, message_id=message_id, at_us=at_us)


@dataclass(kw_only=True)
class FixedScorer:
    """A model that says what it is told to; fails for the users whose profile says so."""

    version: str = "onboarding/1"
    feature_fingerprint: str = ""
    said_risk: float = 0.1
    said_contributions: Mapping[str, float] = field(default_factory=dict)
    said_segment: str | None = None
    min_cause_lead: float = 0.0
    min_cause_leads: Mapping[str, float] = field(default_factory=dict)
    said_curve: Any = None
    explained: int = 0  # how often it was asked why
    curves: list[tuple[str, ...]] = field(default_factory=list)  # of what it was asked for curves

    def risk(self, vectors: np.ndarray, profiles: Sequence[dict[str, object]]) -> np.ndarray:
        if any(profile.get("plan") == "breaks the model" for profile in profiles):
            raise ZeroDivisionError("a category that the model cannot digest")
        return np.full(len(profiles), self.said_risk)

    def segments(self, vectors: np.ndarray) -> list[str] | None:
        return None if self.said_segment is None else [self.said_segment] * len(vectors)

    def timing_curve(
        self, vector: np.ndarray, profile: dict[str, object], *, when: Any, delays_s: Sequence[float], names: Sequence[str]
    ) -> Any:
        self.curves.append(tuple(names))
        return self.said_curve(names) if callable(self.said_curve) else self.said_curve

    def contributions(self, vector: np.ndarray, profile: dict[str, object]) -> dict[str, float]:
        self.explained += 1
        return dict(self.said_contributions)


class World:
    """One product served from memory, with a clock that only moves when told to."""

    def __init__(self, product: Product, policy: Policy, *, scorer: FixedScorer | None = None, ledger: Any = None) -> None:
        self.product = product
        self.now = NOON
        self.ledger = ledger or MemoryLedger()
        self.archive = MemoryPolicyArchive()
        self.timelines = MemoryTimelineStore(kinds=product.catalogue.kinds, clock_us=lambda: to_us(self.now))
        self.profiles = MemoryProfileStore()
        self.scorer = scorer
        self.program = compile_program(product.catalogue)
        self._events = 0
        self.service = self.service_with(policy)

    def service_with(self, policy: Policy, **changes: Any) -> DecisionService:
        stores = {"timelines": self.timelines, "profiles": self.profiles, "ledger": self.ledger, "identities": None}
        stores = {name: changes.pop(name, store) for name, store in stores.items()}
        parts = {
            "product": self.product,
            "policy": policy,
            "scorer": self.scorer,
            "people": SeparateStores(product=self.product.name, **stores),
            "ledger": stores["ledger"],
            "program": self.program,
            "archive": self.archive,
        }
        return DecisionService(**{**parts, **changes})

    def person(self, user_id: str = "ada", **attributes: Any) -> str:
        """Someone who agreed to everything."""
        agreed = {"consent": True, "in_app_opt_in": True, "email_opt_in": True, "timezone": "UTC", "plan": "team", "device": "web"}
        self.profiles.write({user_id: {**agreed, **attributes}}, changed_us=to_us(self.now))
        return user_id

    def happens(self, user_id: str, kind: str, *, times: int = 1, ago: timedelta = timedelta(0), **content: Any) -> None:
        events = []
        for number in range(times):
            self._events += 1
            at = self.now - ago - timedelta(seconds=times - 1 - number)
            events.append(Event(event_id=str(self._events), user_id=user_id, kind=kind, occurred_at=at, received_at=at, **content))
        self.timelines.merge({user_id: timeline_from_events(events, self.product.catalogue.kinds)})

    def answer(self, user_id: str = "ada", **changes: Any) -> DecisionAnswer:
        return self.service.decide_one(user_id, now_us=to_us(self.now), **changes)

    def decide(self, user_id: str = "ada") -> dict[str, Any]:
        """The output as the API would answer it."""
        return orjson.loads(self.answer(user_id).output)

    def later(self, **duration: float) -> None:
        self.now += timedelta(**duration)
