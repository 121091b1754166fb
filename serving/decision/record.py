"""Inputs as plain JSON values and back, so that a decision can be made again years later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from serving.decision.policy import MessageClass
from serving.decision.values import Contact, Degradation, Inputs, TimingSlot

_AS_THEY_ARE = ("decision_id", "user_id", "as_of_us", "n_events", "risk", "contributions", "profile", "segment", "refused_by")


def inputs_to_json(inputs: Inputs) -> dict[str, Any]:
    """Plain values under the field names of `Inputs`; NaN becomes null."""
    return {**inputs_to_object(inputs), "features": {name: _number_or_null(value) for name, value in inputs.features.items()}}


def inputs_to_object(inputs: Inputs) -> dict[str, Any]:
    """The same for whoever writes canonical JSON, which has null for NaN by itself."""
    return {
        "decision_id": inputs.decision_id,
        "user_id": inputs.user_id,
        "as_of_us": inputs.as_of_us,
        "n_events": inputs.n_events,
        "features": _as_dict(inputs.features),
        "risk": None if inputs.risk is None else _number_or_null(inputs.risk),
        "contributions": None if inputs.contributions is None else _as_dict(inputs.contributions),
        "profile": _as_dict(inputs.profile),
        "segment": inputs.segment,
        "segments": _as_dict(inputs.segments),
        "ages": _as_dict(inputs.ages),
        "contacts": None if inputs.contacts is None else [_contact_json(contact) for contact in inputs.contacts],
        "degraded": [degradation.value for degradation in inputs.degraded],
        "refused_by": inputs.refused_by,
        "exhausted": _as_dict(inputs.exhausted),
        **({"exhausted_before_draw": True} if inputs.exhausted_before_draw else {}),  # where nobody asked, as before
        "timing": [_slot_json(slot) for slot in inputs.timing],
        "timing_shown": inputs.timing_shown,
        **({} if inputs.timing_of is None else {"timing_of": inputs.timing_of}),  # where no effect is claimed, as before
        **({"min_cause_lead": inputs.min_cause_lead} if inputs.min_cause_lead else {}),  # where stability was never measured, as before
    }


def inputs_from_json(recorded: Mapping[str, Any]) -> Inputs:
    """The inverse of `inputs_to_json`; a feature that is null becomes NaN.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the record is not one that `inputs_to_json` wrote.
    """
    contacts = recorded["contacts"]
    return Inputs(
        **{name: recorded[name] for name in _AS_THEY_ARE},
        **{name: recorded.get(name, {}) for name in ("segments", "ages", "exhausted")},  # receipts older than these have none
        timing=tuple(TimingSlot(**slot) for slot in recorded.get("timing", ())),
        exhausted_before_draw=recorded.get("exhausted_before_draw", False),
        timing_shown=recorded.get("timing_shown", False),
        timing_of=recorded.get("timing_of"),
        min_cause_lead=recorded.get("min_cause_lead", 0.0),
        features={name: math.nan if value is None else value for name, value in recorded["features"].items()},
        contacts=None if contacts is None else tuple(_contact(contact) for contact in contacts),
        degraded=tuple(Degradation(name) for name in recorded["degraded"]),
    )


def _as_dict(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping itself if it is one that JSON can be written of."""
    return mapping if isinstance(mapping, dict) else dict(mapping)


def _contact_json(contact: Contact) -> dict[str, Any]:
    return {
        "decision_id": contact.decision_id,
        "channel": contact.channel,
        "message_class": contact.message_class.value,
        "message_id": contact.message_id,
        "at_us": contact.at_us,
        "expires_us": contact.expires_us,
    }


def _slot_json(slot: TimingSlot) -> dict[str, Any]:
    return {
        "delay_us": slot.delay_us,
        "still_away": slot.still_away,
        "receptive": slot.receptive,
        "expected": slot.expected,
        "low": slot.low,
        "high": slot.high,
        "gain": slot.gain,
        "gain_se": slot.gain_se,
    }


def _contact(recorded: Mapping[str, Any]) -> Contact:
    return Contact(**{**recorded, "message_class": MessageClass(recorded["message_class"])})


def _number_or_null(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124 - NaN alone is not itself
