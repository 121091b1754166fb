"""Walk forward over the log: train on what was known at each step, measure on what came next."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.core.event import from_us
from features.core.product import Product
from features.home import Home
from training.backtest_report import SCORERS, step_plot, step_table, value_of
from training.bounds import require_seed, require_whole
from training.dataset import build_frame
from training.errors import OneClassError, TooLittleDataError, TrainingError
from training.evaluate import Evaluation, Interval
from training.fit import FitParameters
from training.frame import AS_OF, USER, TrainingFrame
from training.freshness import Look, require_fresh_log
from training.pipeline import Report, TrainedModel, say_nothing, train_slices
from training.process_mark import mark
from training.provenance import note_rows
from training.split import MIN_ROWS, Slices, require_gaps
from training.tracked import tracked_run

IntArray = npt.NDArray[np.int64]
OnStep = Callable[[int, "Step"], None]

_US = timedelta(microseconds=1)
_STOP, _CALIBRATION = 0.2, 0.25  # shares of the rows that later slices have not taken
_FIRST_TEST = 0.5  # the first test begins where half of the rows are past


class BacktestError(TrainingError):
    """The log has no room for a walk forward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestOptions:
    """What may be chosen.

    Raises
    ------
    BacktestError
        If a number is out of its range.
    """

    steps: int = 4
    parameters: FitParameters = field(default_factory=FitParameters)
    seed: int = 0
    min_rows: int = MIN_ROWS  # of each slice

    def __post_init__(self) -> None:
        require_whole("steps", self.steps, least=1, most=1_000, advice="4 is the default", error=BacktestError)
        require_whole("min_rows", self.min_rows, least=1, most=10**9, advice=f"{MIN_ROWS} is the default", error=BacktestError)
        require_seed(self.seed, error=BacktestError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One retraining and what it was worth until the next; figures by scorer, `training.backtest_report.SCORERS`."""

    trained_at: pd.Timestamp  # outcomes known then were learned from, and no others
    tested_until: pd.Timestamp
    train_rows: int
    test_rows: int
    test_users: int
    base_rate: float
    evaluations: dict[str, Evaluation]
    rounds: int

    def figure(self, scorer: str, name: str) -> Interval | None:
        """A figure of one scorer; None where it was not measured."""
        evaluation = self.evaluations.get(scorer)
        return None if evaluation is None else evaluation.figures[name]


def backtest(
    frame: TrainingFrame, options: BacktestOptions | None = None, *, report: Report = say_nothing, on_step: OnStep | None = None
) -> list[Step]:
    """Retrain at evenly spaced instants of the later half of the rows, each time with the function that trains the champion.

    At each step the model is fitted, stopped and calibrated on rows whose outcomes were known by then, a gap of one horizon between any two
    slices, and measured on all rows from then on to the next step. Beside it, on the same rows, are a logistic regression and recency
    alone, refitted at each step too. The champion is not: it was trained on outcomes that come after the steps, so that what it scored
    there would be no forecast. Steps at which there is too little to learn from are left out.

    Raises
    ------
    BacktestError
        If no step can be made, with the reason of each.
    """
    options = options or BacktestOptions()
    made, refused = [], []
    for number, (begin_us, end_us) in enumerate(_spans(frame, options.steps)):
        report("walking forward", number / options.steps)
        try:
            step = _step(frame, begin_us, end_us, options)
        except (TooLittleDataError, OneClassError) as exc:
            refused.append(f"{from_us(begin_us).date()}: {exc}")
            continue
        made.append(step)
        if on_step is not None:
            on_step(number, step)
    report("walking forward", 1.0)
    if not made:
        raise BacktestError(
            f"none of {options.steps} steps could be made, expected at least one; import a longer log, or declare a shorter horizon. "
            + "; ".join(refused)
        )
    return made


def slices_at(frame: TrainingFrame, begin_us: int, end_us: int, *, min_rows: int = MIN_ROWS) -> Slices:
    """Cut what was known at ``begin_us`` into train, stop and calibration; the test slice is [begin_us, end_us).

    Raises
    ------
    TooLittleDataError, OneClassError
        If a slice has fewer than ``min_rows`` rows, or one outcome only.
    """
    as_of_us, horizon_us = frame.as_of_us, frame.horizon // _US
    parts = {"test": np.flatnonzero((as_of_us >= begin_us) & (as_of_us < end_us))}
    until_us = begin_us - horizon_us + 1  # exclusive: outcomes of rows before it are known at the step
    for name, share in (("calibration", _CALIBRATION), ("stop", _STOP)):
        parts[name] = _latest(as_of_us, until_us, share)
        until_us = int(as_of_us[parts[name]].min()) - horizon_us + 1 if len(parts[name]) else 0
    parts["train"] = np.flatnonzero(as_of_us < until_us)
    for name, positions in parts.items():
        _check(name, positions, frame.outcomes, min_rows)
    slices = Slices(**{name: frame.at(positions) for name, positions in parts.items()})
    require_gaps(slices)
    return slices


def backtest_product(
    product: Product,
    home: Home,
    options: BacktestOptions | None = None,
    *,
    labels: str | None = None,
    look: Look | None = None,
    report: Report = say_nothing,
) -> tuple[list[Step], str]:
    """Walk forward over everything imported: one MLflow run, a nested one for each step, one table and one plot; returns the run's id.

    Nothing is registered. A log that is older than ``look`` allows is refused.
    """
    import mlflow

    with tracked_run(product, "backtest", product_dir=None if look is None else look.product_dir) as run_id:
        require_fresh_log(product, home, look)
        frame = build_frame(product, home, labels=labels, report=report)
        note_rows(frame, "backtest", home.raw_dir(product.name))
        steps = backtest(frame, options, report=report, on_step=_record_step)
        table = pd.DataFrame(step_table(steps))
        mlflow.log_table(table, "backtest.json")
        mlflow.log_figure(step_plot(steps), "plots/backtest.png")
        mlflow.log_metrics({f"mean.{name}": value for name, value in _means(steps).items()})
    return steps, run_id


def _spans(frame: TrainingFrame, steps: int) -> list[tuple[int, int]]:
    """From and until (exclusive) of each test: equal times after the instant by which half of the rows are past."""
    as_of_us = frame.as_of_us
    first, last = int(np.quantile(as_of_us, _FIRST_TEST)), int(as_of_us.max()) + 1
    edges = np.linspace(first, last, steps + 1).astype(np.int64).tolist()
    return list(itertools.pairwise(edges))


def _step(frame: TrainingFrame, begin_us: int, end_us: int, options: BacktestOptions) -> Step:
    slices = slices_at(frame, begin_us, end_us, min_rows=options.min_rows)
    trained: TrainedModel = train_slices(slices, parameters=options.parameters, seed=options.seed)
    evaluations = {name: evaluation for name, evaluation in trained.review.evaluations.items() if name in SCORERS}
    return Step(
        trained_at=pd.Timestamp(from_us(begin_us)),
        tested_until=slices.test.rows[AS_OF].max(),
        train_rows=len(slices.fitted.rows),
        test_rows=len(slices.test.rows),
        test_users=int(slices.test.rows[USER].nunique()),
        base_rate=float(slices.test.outcomes.mean()),
        evaluations=evaluations,
        rounds=trained.fitted.rounds,
    )


def _latest(as_of_us: IntArray, until_us: int, share: float) -> IntArray:
    """Positions of about the latest share of the rows before ``until_us``; rows of one instant stay together."""
    before = np.sort(as_of_us[as_of_us < until_us])
    if len(before) == 0:
        return np.empty(0, dtype=np.int64)
    from_us_ = before[-max(1, round(share * len(before)))]
    return np.flatnonzero((as_of_us >= from_us_) & (as_of_us < until_us))


def _check(name: str, positions: IntArray, outcomes: npt.NDArray[np.bool_], min_rows: int) -> None:
    if len(positions) < min_rows:
        raise TooLittleDataError(f"slice {name} has {len(positions)} rows, expected at least {min_rows}")
    if outcomes[positions].all() or not outcomes[positions].any():
        raise OneClassError(f"all {len(positions)} rows of slice {name} have the same outcome, expected both")


def _means(steps: Sequence[Step]) -> dict[str, float]:
    """Means over the steps, weighted by rows."""
    weights = np.array([step.test_rows for step in steps], dtype=np.float64)
    named = {f"{scorer.replace(' ', '_')}.{name}": (scorer, name) for scorer in SCORERS for name in ("auc", "brier", "ece")}
    values = {key: np.array([value_of(step, *pair) for step in steps]) for key, pair in named.items()}
    return {key: float(value @ weights / weights.sum()) for key, value in values.items() if not np.isnan(value).any()}


def _record_step(number: int, step: Step) -> None:
    import mlflow

    with mlflow.start_run(run_name=f"step {number + 1}: {step.trained_at:%Y-%m-%d}", nested=True, tags=mark()):
        mlflow.log_params({"step.trained_at": step.trained_at.isoformat(), "step.tested_until": step.tested_until.isoformat()})
        mlflow.log_params({"lightgbm.rounds": step.rounds})
        named = {scorer.replace(" ", "_"): evaluation for scorer, evaluation in step.evaluations.items()}
        figures = {f"{scorer}.{name}": value.value for scorer, each in named.items() for name, value in each.figures.items()}
        sizes = {
            "train.rows": step.train_rows,
            "test.rows": step.test_rows,
            "test.users": step.test_users,
            "test.base_rate": step.base_rate,
        }
        mlflow.log_metrics({name: float(value) for name, value in (figures | sizes).items() if not np.isnan(value)})
