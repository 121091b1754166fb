"""A trial with a known truth of help on the spot: guidance at the third failed sign-in, and who then gets in.

What counts is seconds, not weeks; so it stands beside `training.trial` and shares nothing with its outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.errors import SimulationError
from training.latent import Floats, sigmoid
from training.planted import DEVICES

WITHIN_S = 45.0
"""What counts as in."""

ALONE, GUIDED = 0.62, 0.85
"""Planted shares of those who are in within `WITHIN_S`, by themselves and guided: +23 points."""

_GIVES_UP_S = 600.0
_FIRST_VISITS = 0.35  # share of moments


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorTrial:
    """Moments at which somebody's third sign-in within two minutes failed, each somebody else's; arrays over moments."""

    moments: pd.DataFrame  # what is known then: failed (sign-ins so far, >= 3), device, first_visit, hour_of_week (local)
    guided: npt.NDArray[np.bool_]  # was shown how, at once
    propensity: Floats  # P(what was drawn)
    seconds: Floats  # from then to the sign-in; inf where there was none within ten minutes
    # the truth
    chance: Floats  # (n_moments, 2) P(in within 45 s | not guided, guided)

    @property
    def in_time(self) -> npt.NDArray[np.bool_]:
        """Signed in within 45 s, shape (n_moments,)."""
        return self.seconds <= WITHIN_S


def draw_door(*, n_moments: int, seed: int, guided_share: float = 0.5, alone: float = ALONE, guided: float = GUIDED) -> DoorTrial:
    """Draw the trial; the same arguments give the same one.

    Who fails more often, on a phone or for the first time, gets in less often; so does, unseen, who has forgotten more. The means of the
    truth are ``alone`` and ``guided`` exactly.

    Parameters
    ----------
    guided_share
        Of moments, in (0, 1).
    alone, guided
        Mean chance of being in within 45 s, in (0, 1).

    Raises
    ------
    SimulationError
        If a number is out of its range.

    Examples
    --------
    >>> trial = draw_door(n_moments=1_000, seed=1)
    >>> trial.chance.mean(axis=0).round(6).tolist()
    [0.62, 0.85]
    """
    _check(n_moments, guided_share=guided_share, alone=alone, guided=guided)
    rng = np.random.default_rng([seed, n_moments, 3])
    moments = pd.DataFrame(
        {
            "failed": 3 + rng.geometric(0.6, n_moments) - 1,
            "device": rng.choice(DEVICES, n_moments, p=[0.62, 0.22, 0.16]),
            "first_visit": rng.random(n_moments) < _FIRST_VISITS,
            "hour_of_week": rng.integers(0, 168, n_moments),
        }
    )
    forgotten, takes_help = rng.normal(size=n_moments), rng.normal(size=n_moments)
    ease = 0.3 * (moments["device"] == "web") - 0.4 * (moments["failed"] - 3) - 0.3 * moments["first_visit"] - 0.7 * forgotten
    by_oneself = ease.to_numpy(dtype=np.float64)
    chance = np.column_stack([_with_mean(by_oneself, alone), _with_mean(by_oneself + 0.5 * takes_help, guided)])
    shown = rng.random(n_moments) < guided_share
    seconds = rng.exponential(size=n_moments) * WITHIN_S / -np.log1p(-chance[np.arange(n_moments), shown.astype(np.int64)])
    return DoorTrial(
        moments=moments,
        guided=shown,
        propensity=np.where(shown, guided_share, 1.0 - guided_share),
        seconds=np.where(seconds <= _GIVES_UP_S, seconds, np.inf),
        chance=chance,
    )


def _with_mean(logit: Floats, mean: float) -> Floats:
    """Chances that differ by these logits, and have this mean."""
    from scipy.optimize import brentq

    shift = brentq(lambda by: float(sigmoid(logit + by).mean()) - mean, -50.0, 50.0)
    return sigmoid(logit + float(shift))


def _check(n_moments: int, **shares: float) -> None:
    if n_moments < 1:
        raise SimulationError(f"n_moments: got {n_moments}, expected at least 1; simulate more")
    for name, share in shares.items():
        if not 0.0 < share < 1.0:
            raise SimulationError(f"{name}: got {share}, expected a share between 0 and 1, without them")
