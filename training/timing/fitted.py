"""Hazard and habits from the slices of a training run, measured on its test slice beside Kaplan-Meier and moving averages.

watch = watch(raw, product, zones=zones_at(home.profiles_file(product.name), "timezone"))
fitted = fit_timing(slices_of(frame), watch)
fitted.figures
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from features.core.segments import segment_of
from features.core.weekly import HOURS_OF_WEEK
from models.signature import Signature
from models.timing.hazard import Asked
from models.timing.part import TimingModel
from models.timing.periods import DAY_S, period_edges_s
from models.timing.receptivity import Receptivity
from training.bounds import require_seed, require_whole
from training.frame import TrainingFrame, learn_signature
from training.split import MIN_ROWS, Slices, split_by_time
from training.timing.habits import (
    HabitRows,
    counts_of,
    fit_moving_average,
    fit_receptivity,
    log_likelihood,
    next_hours,
    population_week,
)
from training.timing.hazard_fit import HazardParameters, Watched, fit_hazard
from training.timing.returns import returns_of
from training.timing.survival import integrated_brier_score, kaplan_meier
from training.timing.watch import Watch

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ALL = "all"
BEYOND = 1.5
"""The hazard reaches this many horizons ahead."""
HABIT_ROWS = 2_000
"""Most rows by which half life, kernel and strengths are chosen."""
_HISTOGRAM_S = 3_650 * DAY_S  # a half life so long that all activity counts alike


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReturns:
    """What the test slice saw, and what was predicted for it."""

    times_s: FloatArray  # (n_rows,) to the return, or to the end of the log
    observed: npt.NDArray[np.bool_]
    segments: npt.NDArray[np.object_]
    grid_s: FloatArray  # (n_times,) edges within what was watched
    away: FloatArray  # (n_rows, n_times) our S(t)
    kaplan_meier: FloatArray  # (n_rows, n_times) S(t) of the row's segment in training


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTiming:
    """The model, and how good it is on later rows."""

    model: TimingModel
    test: TestReturns
    habits: FloatArray  # (n_rows, 168) of the test rows
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingOptions:
    """What may be chosen.

    Raises
    ------
    BadInputError
        If a number is out of its range.
    """

    hazard: HazardParameters | None = None
    max_rows: int = 6_000  # most (user, as_of) rows of a slice that are expanded into periods; drawn at random
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole("max_rows", self.max_rows, least=MIN_ROWS, most=10**9, advice="6000 is the default; fewer say nothing of a slice")
        require_seed(self.seed)


def fit_timing(slices: Slices, watch: Watch, *, options: TimingOptions | None = None, signature: Signature | None = None) -> FittedTiming:
    """Fit hazard and habits on train and stop, measure on the test slice.

    What a slice may see ends where the next one begins: a return later than that counts as not yet seen.

    Parameters
    ----------
    signature
        Of the risk model beside which this one is kept; default: learned from the training slice.

    Raises
    ------
    TooLittleDataError
        If nothing was watched for a whole period, or nobody returned.
    """
    options = options or TimingOptions()
    signature = signature or learn_signature(slices.train)
    rng = np.random.default_rng(options.seed)
    train, stop, test = (_sample(part, options.max_rows, rng) for part in (slices.train, slices.stop, slices.test))
    tuned_on = _sample(slices.fitted, HABIT_ROWS, rng)
    ends_us = int(slices.stop.as_of_us.min()), int(slices.calibration.as_of_us.min()), watch.returns.end_us
    receptivity = _receptivity(watch, tuned_on, ends_us[1])
    edges_s = period_edges_s(BEYOND * slices.train.product.label.horizon.total_seconds())
    learned, stopped, later = (
        _watched(part, watch, signature, receptivity, end_us) for part, end_us in zip((train, stop, test), ends_us, strict=True)
    )
    hazard = fit_hazard(
        learned, stopped, edges_s=edges_s, categorical=signature.categorical_inputs, parameters=options.hazard, seed=options.seed
    )
    model = TimingModel(hazard=hazard, receptivity=receptivity)
    seen = _test_returns(model, later, learned, segments=(segments_in(train), segments_in(test)))
    return FittedTiming(
        model=model,
        test=seen,
        habits=later.asked.habit,
        figures={**return_figures(seen), **_habit_figures(watch, tuned_on, test, receptivity, ends_us[1])},
    )


def slices_of(frame: TrainingFrame) -> Slices:
    """Cut a frame by time without the gaps that a risk model needs: what a slice may see ends where the next one begins anyway.

    Raises
    ------
    TooLittleDataError, OneClassError
        As `training.split.split_by_time`.
    """
    return split_by_time(replace(frame, horizon=timedelta(0)))


def return_figures(seen: TestReturns) -> dict[str, float]:
    """Integrated Brier score of ours and of Kaplan-Meier by segment, on the same rows."""
    columns = slice(0, len(seen.grid_s))
    scores = {
        name: integrated_brier_score(away[:, columns], seen.grid_s, seen.times_s, seen.observed)
        for name, away in (("ibs", seen.away), ("ibs_kaplan_meier", seen.kaplan_meier))
    }
    return {**scores, "rows": float(len(seen.times_s)), "returned_share": float(seen.observed.mean())}


def segments_in(frame: TrainingFrame) -> npt.NDArray[np.object_]:
    """Each row's segment in the product's first segmentation that training can see; `ALL` where it is in none."""
    product = frame.product
    everything = [product.segments, *(one.segments for one in product.segmentations)]
    usable = next((segments for segments in everything if len(segments) > 1), ())
    asked = sorted({condition.feature for segment in usable for condition in segment.conditions} & set(frame.rows.columns))
    columns = [frame.rows[name].tolist() for name in asked]
    numbers = [dict(zip(asked, values, strict=True)) for values in zip(*columns, strict=True)] or [{}] * len(frame.rows)
    found = [segment_of(usable, n, p) or ALL for n, p in zip(numbers, frame.profiles(), strict=True)]
    return np.array(found, dtype=np.object_)


def _sample(frame: TrainingFrame, n_rows: int, rng: np.random.Generator) -> TrainingFrame:
    if len(frame.rows) <= n_rows:
        return frame
    return frame.at(np.sort(rng.choice(len(frame.rows), n_rows, replace=False)))


def _receptivity(watch: Watch, tuned_on: TrainingFrame, end_us: int) -> Receptivity:
    population = population_week(watch.hours.until(end_us), watch.user_offsets_s())
    return fit_receptivity(watch.returns.until(end_us), watch.hours, watch.rows_of(tuned_on), population)


def _watched(frame: TrainingFrame, watch: Watch, signature: Signature, receptivity: Receptivity, end_us: int) -> Watched:
    rows = watch.rows_of(frame)
    asked = Asked(
        encoded=signature.encode(frame.vectors, frame.profiles()),
        as_of_us=rows.as_of_us,
        utc_offset_s=rows.utc_offset_s,
        habit=receptivity.probabilities(counts_of(watch.hours, rows, receptivity.half_life_s)),
    )
    returns = returns_of(watch.returns.until(end_us), rows.person, rows.as_of_us)
    return Watched(asked=asked, returns=returns, watched_s=(end_us - rows.as_of_us) / 1e6)


def _test_returns(model: TimingModel, later: Watched, learned: Watched, *, segments: tuple[npt.NDArray[np.object_], ...]) -> TestReturns:
    edges = np.array(model.hazard.edges_s)
    grid = edges[edges < later.watched_s.max()]
    curves = {
        name: kaplan_meier(learned.returns.times_s[mine], learned.returns.observed[mine]).at(grid)
        for name in (ALL, *np.unique(segments[0]))
        if (mine := (segments[0] == name) | (name == ALL)).any()
    }
    return TestReturns(
        times_s=later.returns.times_s,
        observed=later.returns.observed,
        segments=segments[1],
        grid_s=grid,
        away=model.hazard.survival(later.asked)[:, : len(grid)],
        kaplan_meier=np.array([curves.get(name, curves[ALL]) for name in segments[1]]),
    )


def _habit_figures(watch: Watch, tuned_on: TrainingFrame, test: TrainingFrame, receptivity: Receptivity, end_us: int) -> dict[str, float]:
    """Mean log-likelihood of the hour of the next activity: ours, S2.26, the hour histogram, everybody's week, an even week."""
    tuning_rows, rows = watch.rows_of(tuned_on), watch.rows_of(test)
    until = watch.returns.until(end_us)
    ewma = fit_moving_average(until, watch.hours, tuning_rows)
    histogram = fit_moving_average(until, watch.hours, tuning_rows, half_lives_s=(_HISTOGRAM_S,))
    seen, hour = next_hours(watch.returns, rows)
    kept: HabitRows = rows.at(seen)

    def score(half_life_s: float, model: object) -> float:
        counts = counts_of(watch.hours, kept, half_life_s)
        return log_likelihood(model.probabilities(counts), hour)  # type: ignore[attr-defined]

    if len(hour) == 0:
        return {}
    return {
        "receptivity_log_likelihood": score(receptivity.half_life_s, receptivity),
        "ewma_log_likelihood": score(ewma.half_life_s, ewma),
        "histogram_log_likelihood": score(histogram.half_life_s, histogram),
        "population_log_likelihood": float(np.log(np.array(receptivity.population)[hour]).mean()),
        "even_log_likelihood": float(-np.log(HOURS_OF_WEEK)),
    }
