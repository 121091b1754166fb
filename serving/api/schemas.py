"""What goes in and out over HTTP, as types: the source of the OpenAPI document.

Requests are read more leniently than these types say, item by item, so that one bad item never costs the others
(``features.ingest.admission`` decides); answers are exactly these types.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

UserId = Annotated[str, Field(min_length=1, max_length=128, description="Your id of the user.", examples=["ada"])]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Sent(BaseModel):
    """What callers send may have more fields than we know: they are ignored, and where they could be lost the answer names them."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": True})


class EventIn(_Sent):
    """Something a user did. Fields that are not named here are ignored; the answer lists them in `ignored`."""

    event_id: Annotated[
        str,
        Field(min_length=1, max_length=128, description="Your id; a retry with the same content is recognised by it.", examples=["e-1001"]),
    ]
    user_id: UserId
    kind: Annotated[str, Field(description="A kind that product.yaml declares.", examples=["login"])]
    occurred_at: Annotated[AwareDatetime, Field(description="ISO-8601 with an offset; at most 5 minutes in the future.")]
    type: Literal["event"] = "event"
    subject: Annotated[str | None, Field(default=None, max_length=256, description="What it was about, where the kind declares a subject.")]
    value: Annotated[int | None, Field(default=None, description="In the unit that the kind declares, where it declares one.")]
    session_id: Annotated[str | None, Field(default=None, max_length=128)]


class IdentifyIn(_Sent):
    """Attributes that a user has from now on; those not named keep their value. Other fields are ignored and listed in `ignored`."""

    type: Literal["identify"]
    user_id: UserId
    occurred_at: AwareDatetime
    traits: Annotated[
        dict[str, str | float | bool],
        Field(default_factory=dict, description="Attributes that product.yaml declares; may be empty beside an `anonymous_id` only."),
    ]
    anonymous_id: Annotated[
        str | None, Field(default=None, max_length=128, description="An id the user had before; attached as by `alias`.")
    ]


class AliasIn(_Sent):
    """Whoever used `previous_id` is `user_id`: its events, attributes and contacts become the user's, for good.

    An id belongs to at most one user, the first who claimed it: another is refused as `alias_conflict`, a circle as `alias_cycle`.
    Other fields are ignored and listed in `ignored`.
    """

    type: Literal["alias"]
    previous_id: Annotated[str, Field(min_length=1, max_length=128, description="The id to attach.", examples=["anonymous-7"])]
    user_id: UserId
    occurred_at: AwareDatetime


class Rejected(_Shape):
    """Why one item of a batch was refused; the others are not affected."""

    index: Annotated[int, Field(ge=0, description="Position in the batch, from 0.")]
    code: str
    field: str
    message: str


class IgnoredField(_Shape):
    """A field that no item of its type has: a misspelt one, or one of a newer version. The items that have it are taken without it."""

    field: str
    items: Annotated[int, Field(ge=1, description="How many items of the request have it.")]
    index: Annotated[int, Field(ge=0, description="The first of them.")]
    message: Annotated[str, Field(description="For people; says which field may have been meant.")]


Ignored = Annotated[
    list[IgnoredField], Field(default_factory=list, max_length=20, description="Left out where every field is known; the first 20.")
]


class EventsAccepted(_Shape):
    """What was accepted is durable and will be in the users' timelines within moments, if their behaviour may be kept."""

    accepted: int
    rejected: list[Rejected]
    ignored: Ignored


class DecisionIn(_Sent):
    """Whom to decide about, now. Other fields are ignored."""

    user_id: UserId


class DeliveryIn(_Sent):
    """What became of one message. Fields that are not named here are ignored; the answer lists them in `ignored`."""

    decision_id: Annotated[str, Field(min_length=1, max_length=128)]
    status: Literal["delivered", "failed"]
    at: Annotated[AwareDatetime | None, Field(description="When it was delivered; left out: now. A later instant than now is now.")] = None


class DeliveryTaken(_Shape):
    """What the news of one delivery changed."""

    decision_id: str
    result: Annotated[
        Literal["confirmed", "released", "known", "unknown"],
        Field(description='"known": told before, nothing changed. "unknown": no message of such a decision is remembered.'),
    ]


class DeliveriesTaken(_Shape):
    """In the order of the request."""

    results: list[DeliveryTaken]
    ignored: Ignored


class ErrorDetail(_Shape):
    """What went wrong."""

    code: Annotated[str, Field(description="Stable, for programs.")]
    message: Annotated[str, Field(description="What, got, expected; for people.")]
    what_to_do: str
    field: Annotated[str, Field(default="", description="Where in the request; left out when the whole request is meant.")]


class ErrorAnswer(_Shape):
    """The one shape of every answer that is not a success."""

    error: ErrorDetail


class AllRejected(ErrorAnswer):
    """Nothing of the batch was acceptable."""

    accepted: Literal[0]
    rejected: list[Rejected]
    ignored: Ignored


class Reason(_Shape):
    """Why this was decided."""

    code: str
    sentence: str


class CauseOut(_Shape):
    """What drives the risk."""

    group: str
    contribution: Annotated[float | None, Field(description="TreeSHAP, in log-odds.")]
    sentence: str


class MessageOut(BaseModel):
    """What to send."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: str
    class_: Annotated[Literal["assist", "outreach"], Field(alias="class")]
    channel: str
    propensity: Annotated[float, Field(ge=0, le=1, description="The chance of this message given its arm.")]
    matched: Annotated[bool | None, Field(description="Whether it remedies the cause that would have picked it; null where no cause did.")]
    title: str
    body: str
    content: Annotated[
        dict[str, str], Field(default_factory=dict, description="Further texts by name, filled for the user; absent where it has none.")
    ]
    blocks: Annotated[
        dict[str, dict[str, bool | int | str]],
        Field(
            default_factory=dict,
            description="What the sender fetches from the product when it sends, by name with its parameters; absent where it has none.",
        ),
    ]


class SlotOut(_Shape):
    """One slot in which to act, what is expected of it, and whether it is allowed."""

    at: datetime
    allowed: bool
    code: Annotated[str, Field(description='"ok", or the reason code of the rule that does not allow it.')]
    still_away: Annotated[float, Field(ge=0, le=1, description="P(not back by then).")]
    receptive: Annotated[float, Field(ge=0, description="How usual the hour is for this user; 1 is average.")]
    expected: Annotated[float | None, Field(description="Reduction of the risk by acting then; null where no delay was ever randomised.")]
    low: Annotated[float | None, Field(description="Lower end of the 90 % interval of its mean over people alike.")]
    high: Annotated[float | None, Field(description="Upper end of the 90 % interval of its mean over people alike.")]


class MomentOut(_Shape):
    """When to send it."""

    send_at: datetime
    expires_at: Annotated[datetime | None, Field(description="Not to be delivered from then on: its place under the caps is free again.")]
    advice: Annotated[
        Literal["better_slot", "no_better_time_than_now", "not_enough_data", "no_allowed_slot"] | None,
        Field(description="What the benefit curve says; null where the policy lets nothing wait, or nothing is known of timing."),
    ]
    curve: Annotated[list[SlotOut], Field(description="Every candidate slot.")]
    sentence: str


class DelaySlotOut(_Shape):
    """One moment that chance, or the policy, could choose."""

    delay_s: Annotated[float, Field(ge=0, description="Seconds after `as_of`.")]
    at: datetime
    code: Annotated[str, Field(description='"ok", or the reason code of the rule that does not allow it.')]
    own: Annotated[bool, Field(description="The policy's own moment, whether or not its delay is one of those that chance draws.")]
    propensity: Annotated[float, Field(ge=0, le=1, description="The chance of this moment given arm and message; together 1.")]


class DelaysOut(_Shape):
    """What chance had to choose from for the moment of outreach, and what came of it."""

    drawn: Annotated[bool, Field(description="Whether chance chose the moment, be it the policy's own.")]
    delay_s: Annotated[float | None, Field(ge=0, description="Of the message; null where chance chose to send nothing.")]
    propensity: Annotated[float | None, Field(ge=0, le=1, description="The chance of the moment given arm and message.")]
    chance_of_each: Annotated[float, Field(gt=0, le=1, description="Of each allowed delay of the policy's list, once chance chooses.")]
    slots: list[DelaySlotOut]


class VerdictOut(_Shape):
    """One guardrail's word on one arm."""

    arm: Annotated[str, Field(description='"*" stands for every arm.')]
    rule: str
    passed: bool
    code: str
    sentence: str
    allowed_from: Annotated[datetime | None, Field(description="Earliest instant at which this rule would pass, where it is known.")]


class ArmOut(_Shape):
    """One thing that could have been done."""

    name: str
    open: Annotated[bool, Field(description="Whether it could be done now.")]
    blocked_by: Annotated[
        str | None,
        Field(description="Of a closed arm the first rule that closed it; of an open one why it is not the one; null of the chosen."),
    ]
    propensity: Annotated[float, Field(ge=0, le=1)]
    allowed_from: Annotated[
        datetime | None, Field(description="Of an arm that only time closes: from when it would be open, all else being equal.")
    ]


class Versions(_Shape):
    """What decided."""

    model: str | None
    policy: str
    features: str


class DecisionOut(_Shape):
    """One decision: what is done for this user, and why; also why not."""

    decision_id: str
    user_id: str
    as_of: datetime
    action: Annotated[
        Literal["send", "stage", "defer", "none"],
        Field(
            description='"stage": it would be sent, but the policy is in staging. "defer": outreach would be sent, and nothing but caps '
            "and rate limits holds it back; see `ask_again_at`. A message that rests for its cooldown is no such limit: the action is "
            '"none", with `ask_again_at`.'
        ),
    ]
    reason: Reason
    risk: Annotated[float | None, Field(ge=0, le=1, description="P(no activity within the horizon), calibrated.")]
    threshold: float
    segment: Annotated[str | None, Field(description="In the product's primary segmentation, by which thresholds differ.")]
    segments: Annotated[dict[str, str], Field(description="By segmentation: the product's named ones; \"learned\" is the model's.")]
    trigger: str | None
    severity: str | None
    cause: CauseOut | None
    message: MessageOut | None
    moment: MomentOut | None
    ask_again_at: Annotated[
        datetime | None, Field(description='Earliest instant from which some arm that only time closes would be open; also with "none".')
    ]
    experiments: Annotated[dict[str, str], Field(description="The user's group in each experiment, the holdout included.")]
    verdicts: list[VerdictOut]
    arms: list[ArmOut]
    degraded: Annotated[list[str], Field(description="What was missing when this was decided; empty in good health.")]
    versions: Versions
    delays: Annotated[
        DelaysOut | None, Field(description="Only where the policy draws delays, outreach could go out, and two of them were allowed.")
    ] = None


class ContactOut(BaseModel):
    """A contact that counted under the caps."""

    model_config = ConfigDict(extra="allow")

    decision_id: str
    channel: str
    message_class: str
    message_id: str
    at_us: Annotated[int, Field(description="Microseconds since 1970.")]
    expires_us: Annotated[int | None, Field(default=None, description="Of a reservation: when it counts no longer, unless confirmed.")]


class InputsOut(BaseModel):
    """Everything that went into the decision. Later versions may add fields."""

    model_config = ConfigDict(extra="allow")

    decision_id: str
    user_id: str
    as_of_us: Annotated[int, Field(description="Microseconds since 1970.")]
    n_events: Annotated[int, Field(ge=0, description="Events known of the user.")]
    features: Annotated[dict[str, float | None], Field(description="By name; null where undefined; empty where they could not be read.")]
    risk: Annotated[float | None, Field(ge=0, le=1, description="Calibrated probability of dropping out.")]
    contributions: Annotated[dict[str, float] | None, Field(description="Log-odds by cause; null where no arm was open.")]
    profile: dict[str, Any]
    segment: str | None
    segments: Annotated[dict[str, str], Field(description="By segmentation.")]
    ages: Annotated[dict[str, float], Field(description="Seconds since the instants of the profile.")]
    contacts: Annotated[list[ContactOut] | None, Field(description="Oldest first; null where the ledger could not be read.")]
    degraded: list[str]
    refused_by: Annotated[str | None, Field(description="The window that other decisions filled meanwhile.")]
    exhausted: Annotated[dict[str, int], Field(description="Rate limits without room, and when their window ends.")]
    exhausted_before_draw: Annotated[
        bool, Field(description="Whether all of these were known before chance drew; absent where they were not, or there are none.")
    ] = False
    timing: Annotated[list[dict[str, Any]], Field(description="What acting in each slot is expected to bring.")]
    timing_shown: bool
    timing_of: Annotated[str | None, Field(description="Id of the message that these effects are of; absent where none is claimed.")] = None


class ReceiptOut(BaseModel):
    """Everything that one decision depended on, and its output; what `stillhere replay` reads."""

    model_config = ConfigDict(extra="allow")

    output: DecisionOut
    inputs: InputsOut


class Health(_Shape):
    """The process answers."""

    status: Literal["ok"]


class Readiness(_Shape):
    """Whether requests can be served, and what is missing."""

    status: Literal["ready", "degraded"]
    product: Annotated[str, Field(description="Name of the product that is served, as product.yaml says.")]
    checks: dict[str, str]
