"""What is planted: how much which message helps whom, when, and what it costs to send too many.

Nothing here is measured. The sizes are those of the claims that the product is built around; they are targets for our tools to recover.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from training.bounds import require_whole
from training.errors import SimulationError
from training.latent import HURDLES

NONE = "none"
"""The action of sending nothing; always the first."""

CAUSES = ("login_friction", "form_friction", "skipped_setup", "shallow_sessions", "silence")
"""Causes of the product that are planted: one for each of `training.latent.HURDLES`, in their order, then that of those who lack drive."""

assert len(CAUSES) == len(HURDLES) + 1

ACTIONS = (NONE, *CAUSES)
"""What can be sent: nothing, or the message that remedies one cause."""

CHANNELS = ("in_app", "email")
DEVICES = ("web", "ios", "android")
DELAYS_S = (0, 300, 3_600, 21_600, 43_200, 86_400, 172_800)
"""Candidate delays in seconds: now, 5 minutes, 1 hour, 6, 12, 24 and 48 hours."""

SIZES = dict(zip(CAUSES, (0.38, 0.42, 0.25, 0.41, 0.40), strict=True))
"""Relative reduction of dropout by the matched message: 0.38 is -38 %. A way in after failed sign-ins, a short video for a form, help with
a setup that was left undone, a nudge in mid-course, and a word to those who have gone quiet."""

_HOUR_S = 3_600.0
_DAY_S = 24 * _HOUR_S


class Timing(StrEnum):
    """How the delay of a message changes what it does."""

    NONE = "none"  # not at all
    DECAY = "decay"  # help loses value with delay, each cause at its own pace; a word to the quiet gains by waiting
    WITH_HABIT = "receptive hours of habit"  # as decay, and most messages work in the hours in which the person is usually active
    AGAINST_HABIT = "receptive hours against habit"  # as decay, and most messages work in hours in which the person is rarely active


def _check(name: str, number: float, most: float, least: float = 0.0) -> None:
    if not least <= number <= most:
        raise SimulationError(f"{name}: got {number}, expected a number in [{least:g}, {most:g}]; see training/planted.py for its meaning")


def _check_names(name: str, numbers: Mapping[str, float], expected: tuple[str, ...]) -> None:
    if set(numbers) != set(expected):
        raise SimulationError(
            f"{name}: got {', '.join(sorted(numbers))}, expected a number for each of {', '.join(expected)}; name them all"
        )


_MOST = {
    "unmatched_share": 1.0,
    "receptive_floor": 1.0,
    "channel_preference": 1.0,
    "do_not_disturb": 0.5,
    "fatigue": 10.0,
    "contacts_mean": 20.0,
    "annoyance": 2.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """How a trial draws its decisions. Channels and delays are equally likely, whatever is sent.

    Raises
    ------
    SimulationError
        If a number is out of its range.
    """

    start: datetime = datetime(2025, 3, 3, tzinfo=UTC)  # midnight UTC of the first of the two weeks in which people join
    n_decisions: int = 1  # most about one person, one horizon apart; about who dropped out, no further one is made; 1: independent rows
    control_share: float = 0.25  # of decisions for which nothing is sent, in [0, 1]
    matched_share: float = 0.0  # of messages that are the remedy of the true cause; the others are any message, equally likely; in [0, 1]

    def __post_init__(self) -> None:
        advice = "1, the default, decides once about everyone"
        require_whole("Design.n_decisions", self.n_decisions, least=1, most=52, advice=advice, error=SimulationError)
        for name in ("control_share", "matched_share"):
            _check(f"Design.{name}", getattr(self, name), 1.0)


INDEPENDENT = Design()
"""One decision about each person, a quarter of them to send nothing, the others drawn at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """The planted truth about messages.

    A size is the relative reduction of dropout among all who have the cause, weighted by their risk, for their first message (no fatigue),
    on the channel they prefer, at the moment when it does most. With ``timing`` none, ``fatigue`` 0 and ``channel_preference`` 0 it is
    what a plain difference in means shows: see `plain`. Where decisions are repeated, sizes hold among those decided about each time.

    Raises
    ------
    SimulationError
        If a number is out of its range, or a cause is missing.

    Examples
    --------
    >>> Effects().sizes["login_friction"]
    0.38
    >>> Effects.plain(unmatched_share=0.0).fatigue
    0.0
    """

    sizes: Mapping[str, float] = field(default_factory=lambda: dict(SIZES))  # by cause, in [0, 0.6]
    unmatched_share: float = 0.3  # of the matched effect that any other message has, in [0, 1]
    timing: Timing = Timing.NONE
    half_life_s: Mapping[str, float] = field(
        default_factory=lambda: dict(zip(CAUSES, (2 * _HOUR_S, 12 * _HOUR_S, 3 * _DAY_S, 5 * _DAY_S, 7 * _DAY_S), strict=True))
    )  # delay that halves the effect, by cause, seconds; read unless timing is none
    lag_s: Mapping[str, float] = field(
        default_factory=lambda: dict(zip(CAUSES, (1 * _HOUR_S, 6 * _HOUR_S, 2 * _DAY_S, 2 * _DAY_S, 1 * _DAY_S), strict=True))
    )  # mean time from a message to what it brings about, by cause, seconds: effects come late, and after the horizon they do not count
    # by device, local hour of day at which messages work best; read where timing is against habit
    receptive_hour: Mapping[str, float] = field(default_factory=lambda: {"web": 20.5, "ios": 7.5, "android": 7.5})
    receptive_floor: float = 0.2  # of the effect in the least receptive hour, in [0, 1]
    fatigue: float = 0.35  # each message that a person had lately multiplies what the next does by exp(-fatigue); >= 0
    contacts_mean: float = 0.6  # messages that a person had in the week before the first decision, Poisson; >= 0
    channel_preference: float = 0.4  # share of the effect lost on the channel that is not preferred, in [0, 1]
    do_not_disturb: float = 0.12  # share of people whom any message drives away, about; in [0, 0.5]
    annoyance: float = 0.25  # relative increase of their dropout by one message, >= 0; grows with the messages they had lately

    def __post_init__(self) -> None:
        for name, expected in (("sizes", CAUSES), ("half_life_s", CAUSES), ("lag_s", CAUSES), ("receptive_hour", DEVICES)):
            _check_names(f"Effects.{name}", getattr(self, name), expected)
        for name, most in _MOST.items():
            _check(f"Effects.{name}", getattr(self, name), most)
        for cause in CAUSES:
            _check(f"Effects.sizes[{cause!r}]", self.sizes[cause], 0.6)
            for name in ("half_life_s", "lag_s"):
                _check(f"Effects.{name}[{cause!r}]", getattr(self, name)[cause], 1e9, least=1.0)

    @classmethod
    def plain(cls, *, unmatched_share: float = 0.3, timing: Timing = Timing.NONE) -> Effects:
        """Nothing but the sizes: no fatigue, no preference of channels, no prior messages."""
        return cls(unmatched_share=unmatched_share, timing=timing, fatigue=0.0, channel_preference=0.0, contacts_mean=0.0)

    @classmethod
    def nothing(cls) -> Effects:
        """No message does anything, neither good nor bad."""
        return cls(sizes=dict.fromkeys(CAUSES, 0.0), annoyance=0.0)
