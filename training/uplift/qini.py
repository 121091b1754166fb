r"""How well a score ranks people by the effect that one treatment has on them.

The scale, once. Rows of the treatment and of the control are ordered by score, highest first. With weights 1 / propensity, normalised
within each arm,

    gain(share) = sum of w Y over the treated in the top share - sum of w Y over the controls in the top share

is what treating the top share gains per person *of the whole population*, in units of the outcome; gain(1) is the average effect. The
**Qini coefficient** is the area between gain and the straight line from 0 to gain(1), which is what random targeting gains: same units,
0 for a random score, negative for a wrong one. Nothing forces such an area below 1 where outcomes are amounts; "values beyond 1" arise
where areas are divided by something that is not the largest one. **normalised** divides by the largest area that the two arms' rates
allow (0/1 outcomes only, NaN else): the curve of someone who knows who is persuaded (share p = min(mean_1, 1 - mean_0)) and who is put
off (share p - effect). No ranking can exceed 1 by more than the arms differ by chance in where their rows stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.errors import TrainingError
from training.evaluate import Interval
from training.ope.trees import is_binary
from training.uplift.experiment import Experiment

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

N_DRAWS = 300


class RankingError(TrainingError):
    """A score cannot be measured on these rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """gain at each share where the curve may bend: once for each distinct score; starts at (0, 0)."""

    share: FloatArray
    gain: FloatArray

    def area(self) -> float:
        """Area between the curve and the straight line from its start to its end."""
        return float(np.trapezoid(self.gain, self.share) - self.gain[-1] / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """What a score is worth for one treatment against the control, with 95 % intervals stratified by arm."""

    curve: Curve
    qini: Interval  # units of the outcome per person
    normalised: Interval  # of the largest area possible; NaN where outcomes are not 0/1
    uplift_at: dict[float, Interval]  # by share: effect among the top share


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoArms:
    """Rows of one treatment and of the control, ordered by score, highest first."""

    score: FloatArray
    treated: BoolArray
    outcome: FloatArray
    weight: FloatArray  # 1 / propensity


def two_arms(score: npt.ArrayLike, experiment: Experiment, treatment: str) -> TwoArms:
    """Take the rows of one treatment and of the control, and order them.

    Raises
    ------
    RankingError
        If the treatment is unknown, the score has another length or is not finite, or an arm has no row.
    """
    if treatment not in experiment.treatments:
        raise RankingError(f"treatment {treatment!r} is unknown; expected one of {list(experiment.treatments)}")
    scores = np.asarray(score, dtype=np.float64)
    if scores.shape != (experiment.n_rows,) or not np.isfinite(scores).all():
        raise RankingError(f"score: shape {scores.shape}, expected ({experiment.n_rows},) finite numbers, one per row")
    code = experiment.arms.index(treatment)
    rows = np.flatnonzero((experiment.arm == code) | (experiment.arm == 0))
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    treated = experiment.arm[rows] == code
    if treated.all() or not treated.any():
        raise RankingError(f"no row of {'the control' if treated.all() else treatment!r}: expected rows of both arms")
    return TwoArms(score=scores[rows], treated=treated, outcome=experiment.outcome[rows], weight=1 / experiment.propensity[rows])


def qini_curve(arms: TwoArms, drawn: FloatArray | None = None) -> Curve:
    """The curve of the module's first lines; equal scores are one step, so that their order does not matter.

    Parameters
    ----------
    drawn
        How often each row counts, shape (n_rows,); None: once.

    References
    ----------
    Radcliffe (2007), Using control groups to target on predicted lift; Gutierrez, Gerardy (2017), PMLR 67.

    Examples
    --------
    Four people at 1:1; the top two: the treated one comes, the control does not.

    >>> flags = np.array([True, False, True, False])
    >>> arms = TwoArms(score=np.array([2.0, 2.0, 1.0, 1.0]), treated=flags, outcome=np.array([1.0, 0.0, 0.0, 0.0]), weight=np.full(4, 2.0))
    >>> qini_curve(arms).gain.tolist(), qini_curve(arms).area()
    ([0.0, 0.5, 0.5], 0.125)
    """
    weight = arms.weight if drawn is None else arms.weight * drawn
    treated, control = weight * arms.treated, weight * ~arms.treated
    last = np.flatnonzero(np.append(np.diff(arms.score) != 0, True))
    gain = np.cumsum(treated * arms.outcome)[last] / treated.sum() - np.cumsum(control * arms.outcome)[last] / control.sum()
    share = (np.cumsum(treated)[last] / treated.sum() + np.cumsum(control)[last] / control.sum()) / 2
    return Curve(share=np.append(0.0, share), gain=np.append(0.0, gain))


def largest_area(arms: TwoArms, drawn: FloatArray | None = None) -> float:
    """Area of the best curve that 0/1 outcomes with these rates allow: up by p, flat, down by p - effect; NaN for other outcomes.

    Examples
    --------
    Half of the treated come and no control: p = 0.5, nobody is put off. Best: half of the people give all the gain.

    >>> flags = np.array([True, False, True, False])
    >>> arms = TwoArms(score=np.array([2.0, 2.0, 1.0, 1.0]), treated=flags, outcome=np.array([1.0, 0.0, 0.0, 0.0]), weight=np.full(4, 2.0))
    >>> largest_area(arms)
    0.125
    """
    if not is_binary(arms.outcome):
        return float("nan")
    weight = arms.weight if drawn is None else arms.weight * drawn
    mean_1, mean_0 = (float(np.average(arms.outcome[rows], weights=weight[rows])) for rows in (arms.treated, ~arms.treated))
    persuaded, effect = min(mean_1, 1 - mean_0), mean_1 - mean_0
    put_off = persuaded - effect
    return persuaded * (1 - persuaded / 2) - put_off**2 / 2 - effect / 2


def uplift_at(arms: TwoArms, share: float, drawn: FloatArray | None = None) -> float:
    """Effect among the top share: mean outcome of its treated minus that of its controls, weighted by 1 / propensity.

    People with the score at the edge count in part, so that their order does not matter. NaN where one arm has nobody in the top share.

    Examples
    --------
    >>> flags = np.array([True, False, True, False])
    >>> arms = TwoArms(score=np.array([2.0, 2.0, 1.0, 1.0]), treated=flags, outcome=np.array([1.0, 0.0, 0.0, 0.0]), weight=np.full(4, 2.0))
    >>> uplift_at(arms, 0.5), uplift_at(arms, 1.0)
    (1.0, 0.5)
    """
    weight = arms.weight if drawn is None else arms.weight * drawn
    counted = weight * _part_in_top(arms.score, weight, share)
    totals = [float(counted[rows].sum()) for rows in (arms.treated, ~arms.treated)]
    if min(totals) <= 0:
        return float("nan")
    treated, control = (float((counted[rows] * arms.outcome[rows]).sum()) for rows in (arms.treated, ~arms.treated))
    return treated / totals[0] - control / totals[1]


def measure_ranking(
    score: npt.ArrayLike,
    experiment: Experiment,
    treatment: str,
    *,
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5),
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> Ranking:
    """Qini curve and coefficient and uplift@k of a score, each with its 95 % interval over bootstrap samples drawn within each arm.

    Raises
    ------
    RankingError
        As for `two_arms`.
    """
    arms = two_arms(score, experiment, treatment)
    rng = np.random.default_rng(seed)
    draws = [_drawn_by_arm(arms.treated, rng) for _ in range(n_draws)]

    def interval(values: list[float], value: float) -> Interval:
        low, high = np.nanquantile(values, [0.025, 0.975]) if np.isfinite(values).any() else (np.nan, np.nan)
        return Interval(value=value, low=float(low), high=float(high))

    areas, largest = [qini_curve(arms, drawn).area() for drawn in draws], [largest_area(arms, drawn) for drawn in draws]
    curve = qini_curve(arms)
    return Ranking(
        curve=curve,
        qini=interval(areas, curve.area()),
        normalised=interval([_ratio(*pair) for pair in zip(areas, largest, strict=True)], _ratio(curve.area(), largest_area(arms))),
        uplift_at={share: interval([uplift_at(arms, share, drawn) for drawn in draws], uplift_at(arms, share)) for share in shares},
    )


def _part_in_top(score: FloatArray, weight: FloatArray, share: float) -> FloatArray:
    """How much of each row is in the top share, 0 to 1; rows of one score alike."""
    starts = np.flatnonzero(np.append(True, np.diff(score) != 0))
    sizes = np.add.reduceat(weight, starts)
    before = np.cumsum(sizes) - sizes
    room = share * weight.sum() - before
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = np.where(sizes > 0, np.clip(room / sizes, 0, 1), 0.0)
    return np.repeat(parts, np.diff(np.append(starts, len(score))))


def _drawn_by_arm(treated: BoolArray, rng: np.random.Generator) -> FloatArray:
    drawn = np.zeros(len(treated))
    for rows in (np.flatnonzero(treated), np.flatnonzero(~treated)):
        drawn[rows] = np.bincount(rng.integers(0, len(rows), size=len(rows)), minlength=len(rows))
    return drawn


def _ratio(area: float, largest: float) -> float:
    return area / largest if largest > 0 else float("nan")
