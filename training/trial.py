"""A randomised trial in a simulated world: who was sent what and when, what came of it, and what would have come of everything else.

Each row is one decision about one person. Features are those of the real kernel; outcomes are drawn from the truth (`training.truth`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.core.product import Product
from training.dataset import frame_of
from training.decided import Decided, decide_and_see, joined, taken
from training.frame import AS_OF, OUTCOME, USER, TrainingFrame
from training.planted import ACTIONS, CHANNELS, DELAYS_S, Effects
from training.simulate import SimulationError, check_kinds
from training.trial_features import Asked, features_at, profile_columns
from training.trial_world import World, days_needed, draw_world, first_decisions_us, local_hour_of_week

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Progress = Callable[[int, int], None]
"""``progress(done, total)``: users whose events were drawn; done never decreases and ends at total."""

START = datetime(2025, 3, 3, tzinfo=UTC)
"""Midnight of the first day on which people join, a Monday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """When people came before their rows' as_of: one element a visit, ordered by row and time."""

    row: IntArray  # index of the row of the trial
    age_s: FloatArray  # seconds from the visit's begin to the row's as_of, > 0
    hour_of_week: IntArray  # local, 0 (Monday 0:00) .. 167


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a trial's analyst sees, and, marked as truth, what nobody does. Rows are ordered as those of ``frame``."""

    frame: TrainingFrame  # features and attributes as of as_of; dropped_out under the action that was taken
    actions: tuple[str, ...]  # "none" first, then the cause that a message remedies
    channels: tuple[str, ...]
    delays_s: tuple[int, ...]  # candidate delays in seconds, 0: now
    action: IntArray  # (n_rows,) index of what was drawn
    channel: IntArray  # (n_rows,) the same; -1 where the action is none
    delay: IntArray  # (n_rows,) the same; -1 where the action is none
    propensity: FloatArray  # (n_rows,) P(this action, channel and delay | eligible)
    contacts: IntArray  # (n_rows,) messages that the person had lately, before this one; the ledger knows them
    hour_of_week: IntArray  # (n_rows,) local hour of week at as_of, 0 (Monday 0:00) .. 167
    habit: Habit
    return_s: FloatArray  # (n_rows,) seconds from as_of to the next activity; inf where there is none within the horizon
    signed_in: BoolArray  # (n_rows,) signed in within 45 s; False for those who are not in trouble at the door (`sign_in` is NaN)
    # the truth
    dropout: FloatArray  # (n_rows, n_actions, n_delays) P(dropout within the horizon | do(action after delay)), mean over channels
    dropout_on: FloatArray  # (n_rows, n_actions, n_channels, n_delays) the same for each channel
    sign_in: FloatArray  # (n_rows, n_actions, n_delays) P(signed in within 45 s | do(action after delay)); NaN for those elsewhere
    cause: IntArray  # (n_rows,) the dominant cause, index into actions, >= 1
    annoyed: BoolArray  # (n_rows,) any message drives this person away


def draw_trial(
    product: Product, *, n_users: int, seed: int, effects: Effects, n_decisions: int = 1, progress: Progress | None = None
) -> Trial:
    """Simulate ``n_users`` and a randomised trial on them; the same arguments give the same trial.

    Parameters
    ----------
    product
        Must declare the kinds of event, the causes and the attributes of ``products/onboarding``.
    n_decisions
        Most decisions about one person, one horizon apart; about who dropped out, no further one is made. Messages of earlier decisions
        tire (`Effects.fatigue`). With 1, rows are independent.

    Raises
    ------
    SimulationError
        If the product does not declare what is simulated, or a number is too small.

    Examples
    --------
    >>> from pathlib import Path
    >>> from features.declarations.product_file import load_product
    >>> trial = draw_trial(load_product(Path("products/onboarding")), n_users=50, seed=1, effects=Effects())
    >>> trial.dropout.shape
    (50, 6, 7)
    >>> oracle_value(trial) >= value_of(trial, 0, 0)
    True
    """
    check_trial(product, n_users=n_users, n_decisions=n_decisions)
    horizon = product.label.horizon
    rng = np.random.default_rng([seed, n_users, n_decisions, 1])
    n_days = days_needed(-(-horizon * n_decisions // timedelta(days=1)))
    world = draw_world(n_users, effects=effects, start=START, n_days=n_days, rng=rng)
    decided = _decisions(world, effects, horizon=horizon, n_decisions=n_decisions, rng=rng)
    asked = Asked(person=decided.person, as_of_us=decided.as_of_us)
    vectors = features_at(world, product, asked, seed=(seed, n_users, n_decisions, 2), report=progress or (lambda _done, _total: None))
    return _trial(_frame(world, product, decided, vectors), world, decided)


def check_trial(product: Product, *, n_users: int, n_decisions: int) -> None:
    """Nothing, if such a trial can be drawn.

    Raises
    ------
    SimulationError
        If not.
    """
    check_kinds(product)
    if n_decisions < 1 or n_users < 1:
        raise SimulationError(f"n_users, n_decisions: got {n_users} and {n_decisions}, expected at least 1 of each; simulate more")
    missing = sorted(set(ACTIONS[1:]) - {cause.name for cause in product.causes})
    if missing:
        raise SimulationError(
            f"product {product.name}: causes: {', '.join(missing)} not declared, expected those that messages are simulated for; "
            "draw the trial for products/onboarding, or a product with these causes"
        )


def _decisions(world: World, effects: Effects, *, horizon: timedelta, n_decisions: int, rng: np.random.Generator) -> Decided:
    """Decide about everyone, and a horizon later again about those who are still there."""
    horizon_us = horizon // timedelta(microseconds=1)
    as_of_us = first_decisions_us(world, rng)
    person = np.arange(len(as_of_us))
    contacts = rng.poisson(effects.contacts_mean, len(person))
    rounds = []
    for _ in range(n_decisions):
        decided = decide_and_see(world, effects, (person, as_of_us, contacts), horizon_s=horizon_us / 1e6, rng=rng)
        rounds.append(decided)
        stays = ~decided.dropped_out
        person, as_of_us = person[stays], as_of_us[stays] + horizon_us
        contacts = (contacts + (decided.action > 0))[stays]
    together = joined(rounds)
    return taken(together, np.lexsort((together.person, together.as_of_us)))


def _frame(world: World, product: Product, decided: Decided, vectors: FloatArray) -> TrainingFrame:
    width = max(5, len(str(len(world.zones) - 1)))
    known = pd.DataFrame(
        {
            USER: [f"user-{code:0{width}d}" for code in decided.person.tolist()],
            AS_OF: pd.to_datetime(decided.as_of_us, unit="us", utc=True).astype("datetime64[us, UTC]"),
            OUTCOME: decided.dropped_out,
        }
    )
    rows = pd.concat(
        [known, pd.DataFrame(vectors, columns=list(product.catalogue.feature_names)), profile_columns(world, decided.person)], axis=1
    )
    return frame_of(product, rows, horizon=product.label.horizon)


def _trial(frame: TrainingFrame, world: World, decided: Decided) -> Trial:
    same = {field.name: getattr(decided, field.name) for field in fields(decided) if field.name in Trial.__dataclass_fields__}
    return Trial(
        frame=frame,
        actions=ACTIONS,
        channels=CHANNELS,
        delays_s=DELAYS_S,
        dropout=decided.dropout_on.mean(axis=2),
        habit=_habit(world, decided),
        **same,
    )


def _habit(world: World, decided: Decided) -> Habit:
    """All visits before each row's as_of."""
    begin, end = np.searchsorted(world.visits.person, decided.person), np.searchsorted(world.visits.person, decided.person, side="right")
    row = np.repeat(np.arange(len(begin)), end - begin)
    visit = np.arange(len(row)) - np.repeat(np.cumsum(end - begin) - (end - begin), end - begin) + begin[row]
    age_us = decided.as_of_us[row] - world.begins_us[visit]
    order = np.lexsort((-age_us, row))
    order = order[age_us[order] > 0]
    row, visit, age_us = row[order], visit[order], age_us[order]
    return Habit(row=row, age_s=age_us / 1e6, hour_of_week=local_hour_of_week(world, decided.person[row], world.begins_us[visit]))


def value_of(trial: Trial, action: npt.ArrayLike, delay: npt.ArrayLike) -> float:
    """True mean retention, in [0, 1], if everyone got this action after this delay: exact, no sampling.

    Parameters
    ----------
    action, delay
        Indices into ``trial.actions`` and ``trial.delays_s``, one for all or shape (n_rows,); the delay of action 0 is not read (-1 will
        do).
    """
    rows = np.arange(len(trial.action))
    chosen = trial.dropout[rows, np.asarray(action), np.maximum(np.asarray(delay), 0)]
    return float(1.0 - chosen.mean())


def oracle_policy(trial: Trial) -> tuple[IntArray, IntArray]:
    """Indices of the action and delay with the least true dropout, for each row; action 0 and delay 0 where nothing is better.

    On the channel drawn at random, as everything in ``trial.dropout``.
    """
    flat = trial.dropout.reshape(len(trial.dropout), -1).argmin(axis=1)
    action, delay = np.divmod(flat, len(trial.delays_s))
    return action.astype(np.int64), np.where(action == 0, 0, delay).astype(np.int64)


def oracle_value(trial: Trial) -> float:
    """True mean retention of the best policy that there is: no policy's `value_of` is above it."""
    return value_of(trial, *oracle_policy(trial))


def best_delay(trial: Trial, action: npt.ArrayLike) -> IntArray:
    """Index of the delay with the least true dropout, given what is sent to each row; the shortest of equally good ones."""
    rows = np.arange(len(trial.action))
    return np.asarray(trial.dropout[rows, np.asarray(action)].argmin(axis=1), dtype=np.int64)
