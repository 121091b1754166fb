"""The truth of a trial: from latent states to P(dropout) under every action, channel and delay.

Two kinds of people look alike to a risk model: those who leave unless helped, and those who leave anyway. What a message does depends on
traits that no feature and no rule names (`States.hope`, `States.annoyed`), so that risk is not uplift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.latent import Floats, Ints, People, sigmoid
from training.planted import ACTIONS, CAUSES, CHANNELS, DELAYS_S, Effects, Timing

Bools = npt.NDArray[np.bool_]

_MOST_HELP = 0.95  # nobody's dropout is reduced by more
_MOST_DROPOUT = 0.995
_PEAK = 2.2  # concentration of receptive hours: half the gain is lost about five hours off the peak
_QUIET_GAIN_S = 6 * 3_600.0  # a word to the quiet gains by waiting about so long
_UNLIKE_OTHERS = 0.2  # share of people who prefer the channel that others with their device do not
_HURDLE_PULL = np.array([1.0, 0.9, 0.9, 0.9])  # how much each hurdle weighs when it is asked what the matter is


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Latent states of people at their decisions; arrays of shape (n_rows,)."""

    risk: Floats  # P(dropout within the horizon) if nothing is sent
    cause: Ints  # the dominant one, index into ACTIONS, >= 1
    hope: Floats  # how much can be done for this person, >= 0, before scaling to the planted size
    annoyed: Bools  # any message drives this person away
    prefers: Ints  # index into CHANNELS
    receptive_hour: Floats  # local hour of day in which messages work best
    contacts: Ints  # messages that they had lately
    hour_of_week: Ints  # local, at as_of, 0 .. 167


def dropout_by_channel(states: States, effects: Effects, *, horizon_s: float) -> Floats:
    """P(dropout within the horizon | do(action on channel after delay)), shape (n_rows, n_actions, n_channels, n_delays).

    ``risk * (1 - help + annoyance)``, clipped to at most 0.995, where help is the person's scaled hope times the factors of match, timing,
    channel and fatigue. Action 0 is ``risk`` everywhere.
    """
    tired = np.exp(-effects.fatigue * states.contacts)
    helps = (_hope_scaled(states, effects) * tired)[:, None] * matched(states.cause, effects.unmatched_share)
    on_channel = np.where(states.prefers[:, None] == np.arange(len(CHANNELS)), 1.0, 1.0 - effects.channel_preference)
    moment = timing_factor(states, effects, horizon_s=horizon_s)
    change = helps[:, :, None, None] * on_channel[:, None, :, None] * moment[:, :, None, :]
    annoys = np.where(states.annoyed, effects.annoyance * (1.0 + effects.fatigue * states.contacts), 0.0)
    change -= np.where(np.arange(len(ACTIONS)) > 0, annoys[:, None], 0.0)[:, :, None, None]
    most = np.maximum(states.risk, _MOST_DROPOUT)[:, None, None, None]
    return np.asarray(np.minimum(states.risk[:, None, None, None] * (1.0 - change), most), dtype=np.float64)


def matched(cause: Ints, unmatched_share: float) -> Floats:
    """Share of the matched effect that each action has, shape (n_rows, n_actions): 0 for none, 1 for the remedy of the person's cause."""
    action = np.arange(len(ACTIONS))
    share = np.where(cause[:, None] == action, 1.0, unmatched_share)
    share[:, 0] = 0.0
    return np.asarray(share, dtype=np.float64)


def _hope_scaled(states: States, effects: Effects) -> Floats:
    """Relative reduction of each person's dropout by the matched message, scaled cause by cause so that the planted size is met exactly."""
    scaled = np.zeros(len(states.risk))
    for position, cause in enumerate(CAUSES, start=1):
        rows = np.flatnonzero(states.cause == position)
        if len(rows):
            scaled[rows] = _to_size(states.risk[rows], states.hope[rows], states.annoyed[rows], (effects.sizes[cause], effects.annoyance))
    return scaled


def _to_size(risk: Floats, hope: Floats, annoyed: Bools, sizes: tuple[float, float]) -> Floats:
    from scipy.optimize import brentq

    size, annoyance = sizes
    hope = np.where(annoyed, 0.0, hope)
    missing = size * risk.sum() + np.where(annoyed, np.minimum(annoyance * risk, np.maximum(_MOST_DROPOUT - risk, 0.0)), 0.0).sum()

    def short_of(scale: float) -> float:
        return float((risk * np.minimum(scale * hope, _MOST_HELP)).sum() - missing)

    most = _MOST_HELP / max(float(hope[hope > 0.0].min(initial=1.0)), 1e-6)
    if size == 0.0:
        return np.zeros(len(risk))
    if short_of(most) <= 0.0:  # too few can be helped at all, in a very small world
        return np.minimum(most * hope, _MOST_HELP)
    return np.minimum(float(brentq(short_of, 0.0, most)) * hope, _MOST_HELP)


def timing_factor(states: States, effects: Effects, *, horizon_s: float) -> Floats:
    """Factor on what a message does by its delay, shape (n_rows, n_actions, n_delays), in [0, 1]; 1 everywhere where timing is none."""
    n_rows = len(states.risk)
    if effects.timing is Timing.NONE:
        return np.ones((n_rows, len(ACTIONS), len(DELAYS_S)))
    delay_s = np.array(DELAYS_S, dtype=np.float64)
    by_cause = np.ones((len(ACTIONS), len(DELAYS_S)))
    for position, cause in enumerate(CAUSES, start=1):
        by_cause[position] = np.exp2(-delay_s / effects.half_life_s[cause]) * _in_time(delay_s, effects.lag_s[cause], horizon_s)
    by_cause[-1] *= 1.0 - 0.6 * np.exp(-delay_s / _QUIET_GAIN_S)
    factor = np.repeat(by_cause[None], n_rows, axis=0)
    if effects.timing in {Timing.WITH_HABIT, Timing.AGAINST_HABIT}:
        at_hour = receptivity(states.hour_of_week[:, None] + delay_s / 3_600.0, states.receptive_hour[:, None], effects.receptive_floor)
        factor[:, 2:] *= at_hour[:, None, :]  # who stands at the door wants help now, whatever the hour
    return factor


def _in_time(delay_s: Floats, lag_s: float, horizon_s: float) -> Floats:
    """Share of a message's late effects that still falls within the horizon, relative to a message now."""
    return np.asarray(-np.expm1(-np.maximum(horizon_s - delay_s, 0.0) / lag_s) / -np.expm1(-horizon_s / lag_s), dtype=np.float64)


def receptivity(hour: Floats, peak_hour: Floats, floor: float) -> Floats:
    """Factor in [floor, 1] by local hour, largest at ``peak_hour``; the shape of a von Mises density with a period of 24 hours.

    Examples
    --------
    >>> receptivity(np.array([20.0, 44.0]), np.array([20.0, 20.0]), 0.2).tolist()
    [1.0, 1.0]

    References
    ----------
    Mardia and Jupp (1999), Directional Statistics, section 3.5.4, doi:10.1002/9780470316979.
    """
    off = np.cos(2.0 * np.pi * (hour - peak_hour) / 24.0)
    return np.asarray(floor + (1.0 - floor) * np.exp(_PEAK * (off - 1.0)), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What stays the same about a person and leaves no trace in any event: arrays of shape (n_people,)."""

    rival: Floats  # pull of something else, standard normal
    open_to_help: Floats  # standard normal
    annoyed: Bools  # any message drives this person away
    prefers: Ints  # index into CHANNELS
    receptive_hour: Floats  # local hour of day in which messages work best


def draw_traits(people: People, device: npt.NDArray[np.str_], effects: Effects, rng: np.random.Generator) -> Traits:
    """Draw traits, some of which lean on plan and device, so that there is something to learn about them."""
    plan, n_people = people.plan, len(people.plan)
    inclined = 1.6 * (plan == "enterprise") - 0.4 * (plan == "free") + rng.normal(size=n_people)
    unlike_others = rng.random(n_people) < _UNLIKE_OTHERS
    return Traits(
        rival=rng.normal(size=n_people),
        open_to_help=rng.normal(size=n_people),
        annoyed=inclined.argsort().argsort() >= round(n_people * (1.0 - effects.do_not_disturb)),
        prefers=((device == "web") ^ unlike_others).astype(np.int64),  # e-mail at a desk, in the app on a phone, mostly
        receptive_hour=_best_hours(people, device, effects) + rng.normal(0.0, 1.0, n_people),
    )


def _best_hours(people: People, device: npt.NDArray[np.str_], effects: Effects) -> Floats:
    if effects.timing is Timing.WITH_HABIT:
        return people.rhythm_hour
    return np.array([effects.receptive_hour[name] for name in device.tolist()])


def states_of(
    now: Now,
    traits: Traits,
    person: Ints,
) -> States:
    """Put together who people are at their decisions; ``person`` says whose traits belong to each row."""
    scores = np.column_stack([now.hurdles * _HURDLE_PULL, 0.3 + 0.45 * np.maximum(-now.motivation, 0.0)])
    logit = -1.0 - 1.0 * now.motivation + 0.35 * now.hurdles.sum(axis=1) + 2.2 * now.gone + 0.6 * traits.rival[person]
    return States(
        risk=sigmoid(logit),
        cause=scores.argmax(axis=1).astype(np.int64) + 1,
        hope=np.exp(-0.5 * ((logit - 0.1) / 0.9) ** 2) * np.exp(0.35 * traits.open_to_help[person]),
        annoyed=traits.annoyed[person],
        prefers=traits.prefers[person],
        receptive_hour=traits.receptive_hour[person],
        contacts=now.contacts,
        hour_of_week=now.hour_of_week,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """Where people stand at their decisions; arrays over rows."""

    motivation: Floats
    hurdles: Floats  # (n_rows, len(HURDLES)), mean so far
    gone: Bools  # has inwardly left already
    contacts: Ints  # messages that they had lately
    hour_of_week: Ints  # local, 0 .. 167
