"""How good a score is, with intervals that respect that one user has many rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.calibrate import fit_logistic, log_losses

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

ECE_BINS = 15
DRAWS = 400
"""Bootstrap samples; the ends of a 95 % interval lie between the 10th and 11th of them from either side."""
_TINY = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with its percentile interval over bootstrap samples of users: 95 % unless its `UserDraws` says otherwise."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Figures of one scorer on one slice, by name."""

    figures: Mapping[str, Interval]
    probabilities: FloatArray  # shape (n_rows,)


def auc(scores: FloatArray, outcomes: BoolArray, weights: FloatArray | None = None) -> float:
    """P(a random dropout scores above a random stayer), ties counted half.

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    return _AucTable(scores, outcomes)(np.ones(len(scores)) if weights is None else weights)


def average_precision(scores: FloatArray, outcomes: BoolArray) -> float:
    """Mean precision over the dropouts found, thresholds from high to low (step-wise, no interpolation).

    Examples
    --------
    >>> round(average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])), 4)
    0.8333
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(outcomes[order])
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    precision, recall = hits[last] / (last + 1), hits[last] / max(1, hits[-1])
    return float(np.sum(precision * np.diff(recall, prepend=0.0)))


def reliability(probabilities: FloatArray, outcomes: BoolArray, *, bins: int = ECE_BINS) -> tuple[FloatArray, FloatArray, IntArray]:
    """Mean probability, dropout rate and rows of each equal-mass bin, from low to high."""
    order = np.argsort(probabilities, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    mean = np.array([probabilities[group].mean() for group in groups])
    rate = np.array([outcomes[group].mean() for group in groups])
    return mean, rate, np.array([len(group) for group in groups])


def ece(probabilities: FloatArray, outcomes: BoolArray, *, bins: int = ECE_BINS) -> float:
    """Average the calibration error: mean of |mean probability - dropout rate| over equal-mass bins, weighted by rows.

    Examples
    --------
    >>> ece(np.array([0.5, 0.5]), np.array([True, False]), bins=1)
    0.0
    """
    mean, rate, size = reliability(probabilities, outcomes, bins=bins)
    return float(np.abs(mean - rate) @ size / size.sum())


def calibration_line(probabilities: FloatArray, outcomes: BoolArray) -> tuple[float, float]:
    """Slope and intercept of the outcome's log-odds on the predicted log-odds; (1, 0) is perfect, NaN where all predictions are one."""
    if np.ptp(probabilities) == 0:
        return float("nan"), float("nan")
    p = np.clip(probabilities, _TINY, 1 - _TINY)
    return fit_logistic(np.log(p) - np.log1p(-p), outcomes)


def evaluate(probabilities: FloatArray, outcomes: BoolArray, draws: UserDraws, *, scores: FloatArray | None = None) -> Evaluation:
    """All figures of one scorer; ``scores`` orders the rows where probabilities have ties (a calibration with flat steps)."""
    ranks = probabilities if scores is None else scores
    slope, intercept = calibration_line(probabilities, outcomes)
    figures = {
        "auc": auc_interval(ranks, outcomes, draws),
        "brier": draws.mean_interval((probabilities - outcomes) ** 2),
        "log_loss": draws.mean_interval(log_losses(probabilities, outcomes)),
    }
    plain = {
        "average_precision": average_precision(ranks, outcomes),
        "ece": ece(probabilities, outcomes),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
    }
    return Evaluation(figures=figures | {name: _exact(value) for name, value in plain.items()}, probabilities=probabilities)


def auc_gain(scores: FloatArray, baseline: FloatArray, outcomes: BoolArray, draws: UserDraws) -> Interval:
    """AUC of ``scores`` minus AUC of ``baseline``, paired: both on the same bootstrap samples."""
    ours, theirs = _AucTable(scores, outcomes), _AucTable(baseline, outcomes)
    return draws.interval(lambda weights: ours(weights) - theirs(weights))


def auc_interval(scores: FloatArray, outcomes: BoolArray, draws: UserDraws) -> Interval:
    """AUC with its interval."""
    return draws.interval(_AucTable(scores, outcomes))


class UserDraws:
    """Bootstrap samples of users: each draws as many users as there are, with replacement, all rows of a user together.

    Parameters
    ----------
    users
        User of each row, shape (n_rows,).
    confidence
        Share of the samples that an interval covers.

    References
    ----------
    Field, Welsh (2007), Bootstrapping clustered data, doi:10.1111/j.1467-9868.2007.00593.x.
    """

    def __init__(self, users: npt.ArrayLike, *, n_draws: int = DRAWS, seed: int = 0, confidence: float = 0.95) -> None:
        codes = np.unique(np.asarray(users), return_inverse=True)[1]
        self._codes: IntArray = codes.astype(np.int64)
        self._n_users = int(codes.max(initial=-1)) + 1
        self._n_draws = n_draws
        self._seed = seed
        self._tails = ((1 - confidence) / 2, (1 + confidence) / 2)

    @property
    def n_users(self) -> int:
        """Number of independent units."""
        return self._n_users

    def interval(self, figure: Callable[[FloatArray], float]) -> Interval:
        """Compute the figure with its interval; ``figure`` takes row weights of shape (n_rows,)."""
        drawn = [figure(counts[self._codes].astype(np.float64)) for counts in self._counts()]
        return self._around(figure(np.ones(len(self._codes))), drawn)

    def mean_interval(self, values: FloatArray) -> Interval:
        """Compute the mean over rows of ``values``, shape (n_rows,), with its interval, on the same samples as `interval`, but faster.

        Examples
        --------
        >>> draws = UserDraws(["ann", "ann", "bob", "cem"])
        >>> draws.mean_interval(np.array([1.0, 1.0, 0.0, 0.0])).value
        0.5
        """
        sums = np.bincount(self._codes, values, minlength=self._n_users)
        sizes = np.bincount(self._codes, minlength=self._n_users)
        drawn = [float(counts @ sums / (counts @ sizes)) for counts in self._counts()]
        return self._around(float(values.mean()), drawn)

    def _around(self, value: float, drawn: list[float]) -> Interval:
        known = np.array(drawn)[~np.isnan(drawn)]
        low, high = np.quantile(known, self._tails) if len(known) else (np.nan, np.nan)
        return Interval(value=value, low=float(low), high=float(high))

    def _counts(self) -> Iterator[IntArray]:
        """How often each user is in each sample: the same samples for every figure, so that differences are paired."""
        rng = np.random.default_rng(self._seed)
        for _ in range(self._n_draws):
            yield np.bincount(rng.integers(0, self._n_users, size=self._n_users), minlength=self._n_users)


class _AucTable:
    """Sorted once, so that hundreds of weighted AUCs cost a few passes each."""

    def __init__(self, scores: FloatArray, outcomes: BoolArray) -> None:
        self._order = np.argsort(scores, kind="stable")
        self._positive = outcomes[self._order].astype(np.float64)
        self._starts = np.flatnonzero(np.append(True, np.diff(scores[self._order]) != 0))

    def __call__(self, weights: FloatArray) -> float:
        ordered = weights[self._order]
        positive = np.add.reduceat(ordered * self._positive, self._starts)
        negative = np.add.reduceat(ordered * (1 - self._positive), self._starts)
        pairs = positive.sum() * negative.sum()
        below = np.cumsum(negative) - negative
        return float(positive @ (below + negative / 2) / pairs) if pairs > 0 else float("nan")


def _exact(value: float) -> Interval:
    return Interval(value=value, low=float("nan"), high=float("nan"))
