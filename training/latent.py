"""Who the simulated people are and how they change, day by day: the truth, which nobody observes.

Leaving depends on nothing but these states. Events are noisy consequences of the same states (`training.observed`), so that a model
can learn something and never everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HURDLES = ("access", "paperwork", "guidance", "focus")
"""What can be hard about a product: getting in, its forms, finding out what to do, staying with it."""

_HURDLE_WEIGHTS = np.array([0.9, 0.8, 0.6, 0.5])
_HURDLE_FADE_DAYS = 9.0  # what is hard at first gets easier
_STANDING = {"free": -0.35, "team": 0.1, "enterprise": 0.5}  # mean motivation by plan


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """All latent states; arrays over people, or over (people, days)."""

    plan: npt.NDArray[np.str_]
    joined_day: Ints  # 0 .. n_days - 1
    last_day: Ints  # the last day on which they might come; n_days when they stay past the end
    rhythm_hour: Floats  # preferred hour of their local day
    weekday_only: Floats  # in [0, 1]: how much of their use falls on working days
    motivation: Floats  # (n_people, n_days)
    hurdles: Floats  # (n_people, n_days, len(HURDLES)), >= 0


def draw_people(n_people: int, n_days: int, rng: np.random.Generator, *, join_days: int | None = None) -> People:
    """Draw everyone's traits and walk their states through all days; deterministic for a given generator state.

    Parameters
    ----------
    join_days
        People join on one of the first so many days; default: on any.
    """
    plan = rng.choice(list(_STANDING), size=n_people, p=[0.5, 0.38, 0.12])
    joined_day = np.sort(rng.integers(0, join_days or n_days, size=n_people))
    traits = rng.gamma(0.55, 1.0, size=(n_people, len(HURDLES)))
    start = np.array([_STANDING[name] for name in plan]) + rng.normal(0.35, 0.9, n_people)
    stamina = rng.gamma(3.0, 0.35, n_people)
    motivation, hurdles, last_day = _walk((start, stamina, traits, joined_day), n_days, rng)
    return People(
        plan=plan,
        joined_day=joined_day,
        last_day=last_day,
        rhythm_hour=np.clip(rng.normal(13.5, 3.5, n_people), 0.5, 23.0),
        weekday_only=rng.beta(2.0, 1.5, n_people),
        motivation=motivation,
        hurdles=hurdles,
    )


def _walk(traits: tuple[Floats, Floats, Floats, Ints], n_days: int, rng: np.random.Generator) -> tuple[Floats, Floats, Ints]:
    """Walk motivation, hurdles and the day of leaving; motivation wanes by stamina and by frustration, which has a memory of days."""
    motivation_now, stamina, trouble, joined_day = traits
    n_people = len(stamina)
    motivation = np.zeros((n_people, n_days))
    hurdles = np.zeros((n_people, n_days, len(HURDLES)))
    frustration = np.zeros(n_people)
    last_day = np.full(n_people, n_days, dtype=np.int64)
    for day in range(n_days):
        age = np.maximum(day - joined_day, 0)
        here = (day >= joined_day) & (last_day == n_days)
        hurdles[:, day] = trouble * np.exp(rng.normal(0.0, 0.5, trouble.shape)) * np.exp(-age / _HURDLE_FADE_DAYS)[:, None]
        frustration += here * 0.45 * (hurdles[:, day] @ _HURDLE_WEIGHTS - frustration)
        drift = -0.035 / stamina - 0.05 * frustration + rng.normal(0.0, 0.16, n_people)
        motivation_now = np.where(here, np.clip(motivation_now + drift, -3.5, 3.0), motivation_now)
        motivation[:, day] = motivation_now
        leaves = here & (rng.random(n_people) < sigmoid(-4.7 - 1.3 * motivation_now + 1.25 * frustration))
        last_day[leaves] = day
    return motivation, hurdles, last_day


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)).

    Examples
    --------
    >>> sigmoid(np.array([0.0])).tolist()
    [0.5]
    """
    return np.asarray(1.0 / (1.0 + np.exp(-x)), dtype=np.float64)
