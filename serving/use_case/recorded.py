"""A receipt read back: checked once, at the border, so that what is wrong with one is told by its decision and field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from features.declarations.schema_faults import schema_faults
from serving.decision.policy import MessageClass
from serving.decision.record import inputs_from_json
from serving.decision.values import Action, Degradation, Inputs
from serving.use_case.receipt import SCHEMA_VERSION

_MOST_FAULTS = 3
"""So many are told; how many more there are, is said."""
_ANEW = "take it anew from GET /v1/decisions/{}"
_END_US = 253_402_300_800_000_000  # year 10000, which no instant reaches

_InstantUs = Annotated[int, Field(ge=0, lt=_END_US)]
_Chance = Annotated[float, Field(ge=0, le=1)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class ReceiptError(ValueError):
    """These bytes are no receipt that a decision left; take it anew from GET /v1/decisions/<id>."""


class _Part(BaseModel):
    """Of what a decision is made again from; a newer version may have written more beside it."""

    model_config = ConfigDict(strict=True, extra="ignore")


class _Whole(_Part):
    """A part of which every key is known."""

    model_config = ConfigDict(strict=True, extra="forbid")


class _Contact(_Whole):
    decision_id: str
    channel: str
    message_class: MessageClass
    message_id: str
    at_us: _InstantUs
    expires_us: _InstantUs | None = None


class _Slot(_Whole):
    delay_us: Annotated[int, Field(ge=0, lt=_END_US)]
    still_away: _Number
    receptive: _Number
    expected: _Number | None = None
    low: _Number | None = None
    high: _Number | None = None
    gain: _Number | None = None
    gain_se: _Number | None = None


class _Inputs(_Part):
    """As `serving.decision.record.inputs_to_json` writes them; what has a default was not there from the first release on."""

    decision_id: str
    user_id: str
    as_of_us: _InstantUs
    n_events: Annotated[int, Field(ge=0)]
    features: dict[str, _Number | None]
    risk: _Chance | None
    contributions: dict[str, _Number] | None
    profile: dict[str, Any]
    segment: str | None
    contacts: list[_Contact] | None
    degraded: list[Degradation]
    refused_by: str | None
    segments: dict[str, str] = Field(default_factory=dict)
    ages: dict[str, _Number] = Field(default_factory=dict)
    exhausted: dict[str, _InstantUs] = Field(default_factory=dict)
    exhausted_before_draw: bool = False
    timing: list[_Slot] = Field(default_factory=list)
    timing_shown: bool = False
    timing_of: str | None = None
    min_cause_lead: _Number = 0.0


class _Timeline(_Part):
    hash: str
    n_events: Annotated[int, Field(ge=0)]
    newest_known_us: int | None
    coverage_start_us: int | None
    freshness_us: int | None


class _Versions(_Part):
    model: str | None
    policy: str
    features: str


class _Reason(_Part):
    code: str


class _Message(_Part):
    id: str
    channel: str
    class_: str = Field(alias="class")


class _Moment(_Part):
    send_at: AwareDatetime


class _Arm(_Part):
    name: str
    propensity: _Chance


class _Output(_Part):
    """What is read of it; the rest is compared, and may differ."""

    user_id: str
    action: Action
    as_of: str
    segment: str | None
    trigger: str | None
    message: _Message | None
    moment: _Moment | None
    arms: list[_Arm]
    reason: _Reason
    versions: _Versions


class _Receipt(_Part):
    schema_version: Literal[1]
    rules_version: int = 1  # the first release did not write it
    decision_id: str
    product: str
    inputs: _Inputs
    timeline: _Timeline
    versions: _Versions
    output: _Output


def read_receipt(receipt: bytes) -> tuple[dict[str, Any], Inputs]:
    """Everything that a receipt holds, as it stands there; and what went into its decision.

    Raises
    ------
    ReceiptError
        Naming the decision, and the first fields that are missing or of another kind.

    Examples
    --------
    >>> read_receipt(b"5")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    serving.use_case.recorded.ReceiptError: this is no receipt: found 5, expected a mapping of keys to values; take it anew from GET ...
    """
    try:
        content = orjson.loads(receipt)
    except orjson.JSONDecodeError as exc:
        raise _error({}, [f"found no JSON ({exc})"]) from exc
    try:
        _Receipt.model_validate_json(receipt)
    except ValidationError as exc:
        raise _error(content, list(_told(exc))) from exc
    return content, inputs_from_json(content["inputs"])


def _told(error: ValidationError) -> Iterator[str]:
    for details, fault in zip(error.errors(include_url=False), schema_faults(error, _Receipt), strict=True):
        is_null = details["type"] != "missing" and details["input"] is None
        yield str(replace(fault, found="null" if is_null else fault.found, advice=""))


def _error(content: Any, faults: list[str]) -> ReceiptError:
    decision_id = decision_of(content)
    whose = "this is no receipt" if decision_id is None else f"receipt {decision_id}"
    more = f" and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
    advice = "a newer release wrote it; replay it with that one" if _is_newer(content) else _ANEW.format(decision_id or "<id>")
    return ReceiptError(f"{whose}: {'; '.join(faults[:_MOST_FAULTS])}{more}; {advice}")


def _is_newer(content: Any) -> bool:
    version = content.get("schema_version") if isinstance(content, dict) else None
    return isinstance(version, int) and version > SCHEMA_VERSION


def decision_of(content: Any) -> str | None:
    """The id of the decision that a damaged receipt is of; None where nothing of it says.

    Examples
    --------
    >>> decision_of({"inputs": {"decision_id": "d1"}}), decision_of([1])
    ('d1', None)
    """
    if not isinstance(content, dict):
        return None
    parts = [content, *(content.get(name) for name in ("inputs", "output"))]
    ids = [part.get("decision_id") for part in parts if isinstance(part, dict)]
    return next((one for one in ids if isinstance(one, str) and one), None)
