"""A share watched user by user, with bounds that hold at every look: stop whenever you like, look as often as you like.

For each possible share m, a gambler bets that the truth is larger (or smaller); fair bets on the truth gain nothing, so that a gain of
1/alpha rejects m, at whatever moment, with an error of at most alpha (Ville's inequality). The capital is the mean over several fixed
stakes, a mixture that needs no tuning.

References
----------
Howard, Ramdas, McAuliffe, Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence sequences, doi:10.1214/20-AOS1991.
Waudby-Smith, Ramdas (2024), Estimating means of bounded random variables by betting, doi:10.1093/jrsssb/qkad009.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_STAKES = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75])  # shares of the capital that the worst outcome could take
_SHARES = np.round(np.arange(0.01, 1.0, 0.01), 2)  # resolution of a confidence sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is known of a share after each user, in order; arrays of shape (n_users,)."""

    estimate: FloatArray  # hits so far / rows so far; NaN before the first row
    low: FloatArray  # never above the truth at any look, with the level's confidence
    high: FloatArray  # likewise never below it
    log_capital: FloatArray  # of the gambler against "the share is at most the bound"
    broken_at: int | None  # the first user at whom the bound is shown to be broken; None: it is not shown


def watch(hits: FloatArray, rows: FloatArray, *, bound: float, alpha: float, most_rows: float) -> Watch:
    """Watch whether a ratio of sums, E[hits] / E[rows], is above ``bound``; one entry a user, in order of becoming known.

    A user's gain is (hits - m rows) / most_rows: users, not their rows, are the independent units, and the ratio is over rows all the same.

    Parameters
    ----------
    hits, rows
        Of each user, shape (n_users,), 0 <= hits <= rows <= most_rows.
    alpha
        Chance of ever raising a false alarm; the interval (low, high) errs with twice that.

    Examples
    --------
    >>> hits = np.tile([1.0, 0.0, 0.0], 100)
    >>> watched = watch(hits, np.ones(300), bound=0.15, alpha=0.05, most_rows=1)
    >>> watched.broken_at, bool(watched.low[-1] < 1 / 3 < watched.high[-1])
    (36, True)
    """
    hits, rows = hits / most_rows, rows / most_rows
    total = np.cumsum(rows)
    estimate = np.divide(np.cumsum(hits), total, out=np.full(len(rows), np.nan), where=total > 0)
    capital = _log_capital(hits, rows, np.array([bound]), above=True)[:, 0]
    needed = np.log(1 / alpha)
    crossed = np.flatnonzero(capital >= needed)
    above = np.maximum.accumulate(_log_capital(hits, rows, _SHARES, above=True), axis=0) >= needed
    below = np.maximum.accumulate(_log_capital(hits, rows, _SHARES, above=False), axis=0) >= needed
    return Watch(
        estimate=estimate,
        low=np.where(above, _SHARES, 0.0).max(axis=1, initial=0.0),
        high=np.where(below, _SHARES, 1.0).min(axis=1, initial=1.0),
        log_capital=capital,
        broken_at=int(crossed[0]) if len(crossed) else None,
    )


def log_capital(hits: FloatArray, rows: FloatArray, *, bound: float, most_rows: float) -> FloatArray:
    """Log of the gambler's capital after each user, shape (n_users,): what `watch` raises its alarm by, and nothing more."""
    return _log_capital(hits / most_rows, rows / most_rows, np.array([bound]), above=True)[:, 0]


def _log_capital(hits: FloatArray, rows: FloatArray, shares: FloatArray, *, above: bool) -> FloatArray:
    """Shape (n_users, n_shares)."""
    gain = hits[:, None] - shares[None, :] * rows[:, None]
    if not above:
        gain = -gain
    worst = shares if above else 1 - shares  # the most that one user can lose
    mixed = np.full(gain.shape, -np.inf)
    for stake in _STAKES:
        mixed = np.logaddexp(mixed, np.cumsum(np.log1p(stake / worst[None, :] * gain), axis=0))
    return np.asarray(mixed - np.log(len(_STAKES)), dtype=np.float64)
