"""A randomised trial in a simulated world: who was sent what and when, what came of it, and what would have come of everything else.

Each row is one decision about one person. Features are those of the real kernel; outcomes are drawn from the truth (`training.truth`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.core.product import Product
from training.aftermath import went_on
from training.dataset import frame_of
from training.decided import Decided, decisions
from training.errors import SimulationError
from training.frame import AS_OF, OUTCOME, USER, TrainingFrame
from training.planted import ACTIONS, CHANNELS, DELAYS_S, INDEPENDENT, Design, Effects
from training.simulate import check_kinds, check_numbers
from training.trial_features import Asked, features_at, profile_columns
from training.trial_world import World, days_needed, draw_world, local_hour_of_week

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Progress = Callable[[int, int], None]
"""``progress(done, total)``: users whose events were drawn; done never decreases and ends at total."""


_LEAST_HORIZON = timedelta(seconds=DELAYS_S[-1], days=1)


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
    # the truth
    dropout: FloatArray  # (n_rows, n_actions, n_delays) P(dropout within the horizon | do(action after delay)), mean over channels
    dropout_on: FloatArray  # (n_rows, n_actions, n_channels, n_delays) the same for each channel
    cause: IntArray  # (n_rows,) the dominant cause, index into actions, >= 1
    annoyed: BoolArray  # (n_rows,) any message drives this person away

    @property
    def arm_propensity(self) -> FloatArray:
        """P(this action and delay, on whichever channel | eligible), shape (n_rows,).

        What weights a policy that leaves the channel to chance, as ``dropout`` and `value_of` do: channels are equally likely.
        """
        return np.where(self.action > 0, self.propensity * len(self.channels), self.propensity)


def draw_trial(
    product: Product, *, n_users: int, seed: int, effects: Effects, design: Design = INDEPENDENT, progress: Progress | None = None
) -> Trial:
    """Simulate ``n_users`` and a randomised trial on them; the same arguments give the same trial.

    Parameters
    ----------
    product
        Must declare the kinds of event, the causes and the attributes of ``products/onboarding``.
    design
        How decisions are drawn. With several about one person, messages of earlier ones tire (`Effects.fatigue`).

    Raises
    ------
    SimulationError
        If the product does not declare what is simulated, or a number is out of its range.

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
    return play_trial(product, n_users=n_users, seed=seed, planted=(effects, design), progress=progress)[0]


def play_trial(
    product: Product, *, n_users: int, seed: int, planted: tuple[Effects, Design], progress: Progress | None = None
) -> tuple[Trial, World]:
    """As `draw_trial`, and the world in which it took place, as it went on afterwards."""
    check_trial(product)
    effects, design = planted
    n_days = days_of(product, design)
    check_numbers(n_users=n_users, n_days=n_days, seed=seed, end=design.start)
    horizon = product.label.horizon
    rng = np.random.default_rng([seed, n_users, 1])
    before = draw_world(n_users, effects=effects, start=design.start, n_days=n_days, seed=seed, rng=rng)
    decided = decisions(before, planted, horizon=horizon, rng=rng)
    world = went_on(before, decided, rng)
    asked = Asked(person=decided.person, as_of_us=decided.as_of_us)
    vectors = features_at(world, product, asked, report=progress or (lambda _done, _total: None))
    return _trial(_frame(world, product, decided, vectors), world, decided), world


def days_of(product: Product, design: Design) -> int:
    """Days from ``design.start`` until every outcome is known."""
    return days_needed(-(-product.label.horizon * design.n_decisions // timedelta(days=1)))


def check_trial(product: Product) -> None:
    """Nothing, if such a trial can be drawn.

    Raises
    ------
    SimulationError
        If not.
    """
    check_kinds(product)
    if product.label.horizon <= _LEAST_HORIZON:
        raise SimulationError(
            f"product {product.name}: label.horizon: got {product.label.horizon}, expected more than {_LEAST_HORIZON},"
            " or the latest messages would come after it; declare a longer one"
        )
    missing = sorted(set(ACTIONS[1:]) - {cause.name for cause in product.causes})
    if missing:
        raise SimulationError(
            f"product {product.name}: causes: {', '.join(missing)} not declared, expected those that messages are simulated for; "
            "draw the trial for products/onboarding, or a product with these causes"
        )


def _frame(world: World, product: Product, decided: Decided, vectors: FloatArray) -> TrainingFrame:
    user_ids = world.user_ids
    known = pd.DataFrame(
        {
            USER: [user_ids[code] for code in decided.person.tolist()],
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


def matching_gain(trial: Trial, delay: npt.ArrayLike = 0) -> float:
    """True gain in mean retention by sending everyone the remedy of their cause instead of any message at random."""
    messages = range(1, len(trial.actions))
    return value_of(trial, trial.cause, delay) - float(np.mean([value_of(trial, action, delay) for action in messages]))
