"""Search LightGBM's parameters: bounded in trials, in time and in what an explanation may cost, on rows that no later figure is taken from.

A trial is judged on folds inside the train and stop slices, each with later rows than it learns from and a gap of the horizon between them
(or, with `by_cohort`, cohorts that it has not seen). Calibration and test slice are never looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from training.bounds import require_number, require_seed, require_whole
from training.calibrate import is_gain
from training.errors import TooLittleDataError
from training.fit import EXPLANATION_BUDGET, FitParameters
from training.folds import Fold, walk_forward
from training.frame import TrainingFrame, learn_signature
from training.pipeline import Report, say_nothing
from training.split import Slices, split_by_time
from training.tuning_trial import FoldData, FoldLoss, Stopped, fold_data, fold_loss

if TYPE_CHECKING:
    from collections.abc import Iterator

    import optuna

_STAGE = "tuning"
_STARTUP_TRIALS = 5  # before the median of trials is worth comparing with
_MAX_ROUNDS = 600
_MAX_DEPTH = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set of parameters and how it went."""

    number: int
    state: str  # complete, pruned or stopped (out of time)
    log_loss: float  # mean over the folds that it got through
    rounds: int  # mean trees of the folds
    seconds: float
    parameters: FitParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a search found."""

    parameters: FitParameters
    log_loss: float  # of those, mean over the folds
    base_log_loss: float  # of the parameters that the search began with
    trials: Sequence[Trial]

    @property
    def table(self) -> pd.DataFrame:
        """One row per trial, complete ones first, best first: number, state, log_loss, rounds, seconds and every parameter."""
        rows = [
            {"number": t.number, "state": t.state, "log_loss": t.log_loss, "rounds": t.rounds, "seconds": t.seconds}
            | {name: getattr(t.parameters, name) for name in t.parameters.__slots__}
            for t in self.trials
        ]
        table = pd.DataFrame(rows)
        return table.iloc[np.lexsort((table["log_loss"], table["state"] != "complete"))].reset_index(drop=True)


def say_nothing_of(trial: Trial) -> None:
    """Record no trial."""


def tune(
    data: TrainingFrame | Slices,
    *,
    n_trials: int = 30,
    timeout_s: float = 600.0,
    seed: int = 0,
    base: FitParameters | None = None,
    report: Report = say_nothing,
) -> Tuned:
    """Search on walk-forward folds inside the train and stop slices.

    The first trial is ``base`` itself; trials grow one seed without weights. What is found takes its place only if its log loss is lower
    by more than one standard error over users. The same seed on the same rows gives the same answer, unless the time runs out.

    Parameters
    ----------
    data
        A frame, which is split by time here, or slices that were cut elsewhere.
    n_trials, timeout_s
        At most so many trials, and no tree after so many seconds.
    base
        Where the search begins, and what it keeps: seeds, threads, weight of outcomes. Default: `FitParameters`'s own.

    Raises
    ------
    TooLittleDataError, OneClassError
        If the frame is too short to split, or leaves no fold to learn from.
    BadInputError
        If there is no trial to make.

    References
    ----------
    Bergstra et al. (2011), Algorithms for hyper-parameter optimization (TPE). Akiba et al. (2019), Optuna, doi:10.1145/3292500.3330701.
    """
    slices = data if isinstance(data, Slices) else split_by_time(data)
    search = Search(base=base or FitParameters(), n_trials=n_trials, timeout_s=timeout_s, seed=seed, report=report)
    return tune_on(walk_forward(slices), search)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How to search; see `tune`. ``on_trial`` is called after each trial, as the command does to nest a run of MLflow for each.

    Raises
    ------
    BadInputError
        If a number is out of its range.
    """

    base: FitParameters = field(default_factory=FitParameters)
    n_trials: int = 30
    timeout_s: float = 600.0
    seed: int = 0
    report: Report = say_nothing
    on_trial: Callable[[Trial], None] = say_nothing_of

    def __post_init__(self) -> None:
        require_whole("trials", self.n_trials, least=1, most=100_000, advice="30 is the default; or leave tuning out")
        require_timeout("timeout_s", self.timeout_s)
        require_seed(self.seed)


def require_timeout(name: str, seconds: float) -> None:
    """Nothing, if a search can be given so much time.

    Raises
    ------
    BadInputError
        If not.
    """
    require_number(name, seconds, least=0.0, most=1e9, advice="600 is the default: ten minutes")


def tune_on(folds: Sequence[Fold], search: Search) -> Tuned:
    """Search on folds that were cut elsewhere, such as `training.folds.by_cohort`'s; see `tune`."""
    if not folds:
        raise TooLittleDataError("there is no fold to tune on, expected at least one; import a longer log, or train with the defaults")
    signature = learn_signature(folds[0].learn)
    state = _State(search, [fold_data(fold, signature) for fold in folds])
    with _quiet_optuna() as optuna:
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=search.seed, n_startup_trials=_STARTUP_TRIALS),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=0),
        )
        study.enqueue_trial(_as_point(search.base))
        study.optimize(state.run, n_trials=search.n_trials, timeout=search.timeout_s)
    search.report(_STAGE, 1.0)
    return state.answer()


class _State:
    """A search under way: what was tried, what the base and the best lost row by row, and when to stop."""

    def __init__(self, search: Search, folds: list[FoldData]) -> None:
        self._search, self._folds = search, folds
        self._deadline_s = time.monotonic() + search.timeout_s
        self._trials: list[Trial] = []
        self._base: list[FoldLoss] = []
        self._best: tuple[float, FitParameters, list[FoldLoss]] | None = None

    def run(self, trial: optuna.Trial) -> float:
        import optuna

        parameters = self._search.base if trial.number == 0 else _ask(trial, self._search.base)
        if trial.number == 0:
            _ask(trial, self._search.base)  # the sampler learns from it too
        began_s, losses, ended = time.monotonic(), [], "complete"
        for step, fold in enumerate(self._folds):
            try:
                losses.append(fold_loss(fold, parameters, seed=self._search.seed, deadline_s=self._deadline_s))
            except Stopped:
                ended = "stopped"
                trial.study.stop()
                break
            trial.report(_mean(losses), step)
            if trial.should_prune() and step + 1 < len(self._folds):
                ended = "pruned"
                break
        self._keep(trial.number, ended, parameters, losses, time.monotonic() - began_s)
        if ended != "complete":
            raise optuna.TrialPruned
        return _mean(losses)

    def answer(self) -> Tuned:
        base = self._search.base
        if self._best is None or not self._base:
            raise TooLittleDataError(
                f"no trial was through within {self._search.timeout_s:g} s, expected at least that of the parameters that the search"
                " begins with; give it more time"
            )
        base_loss, (best_loss, best, losses) = _mean(self._base), self._best
        gains = np.concatenate([b.rows - x.rows for b, x in zip(self._base, losses, strict=True)])
        units = np.unique(np.concatenate([fold.units for fold in self._folds]), return_inverse=True)[1]
        found = best if is_gain(gains, units) else base
        return Tuned(
            parameters=found, log_loss=best_loss if found is best else base_loss, base_log_loss=base_loss, trials=tuple(self._trials)
        )

    def _keep(self, number: int, ended: str, parameters: FitParameters, losses: list[FoldLoss], seconds: float) -> None:
        loss, rounds = (_mean(losses), round(np.mean([each.rounds for each in losses]))) if losses else (float("nan"), 0)
        tried = Trial(number=number, state=ended, log_loss=loss, rounds=rounds, seconds=seconds, parameters=parameters)
        self._trials.append(tried)
        if ended == "complete":
            if number == 0:
                self._base = losses
            if self._best is None or loss < self._best[0]:
                self._best = (loss, parameters, losses)
        self._search.report(_STAGE, len(self._trials) / self._search.n_trials)
        self._search.on_trial(tried)


def _ask(trial: optuna.Trial, base: FitParameters) -> FitParameters:
    """Let the sampler choose; depth, leaves and rounds stay within the budget of an explanation."""
    depth = trial.suggest_int("max_depth", 3, _MAX_DEPTH)
    leaves = min(trial.suggest_int("num_leaves", 4, 2**_MAX_DEPTH, log=True), 2**depth)
    return replace(
        base,
        max_depth=depth,
        num_leaves=leaves,
        learning_rate=trial.suggest_float("learning_rate", 0.02, 0.15, log=True),
        min_data_in_leaf=trial.suggest_int("min_data_in_leaf", 10, 400, log=True),
        feature_fraction=trial.suggest_float("feature_fraction", 0.15, 1.0),
        bagging_fraction=trial.suggest_float("bagging_fraction", 0.4, 1.0),
        lambda_l2=trial.suggest_float("lambda_l2", 0.1, 100.0, log=True),
        path_smooth=trial.suggest_float("path_smooth", 0.0, 50.0),
        max_rounds=min(_MAX_ROUNDS, EXPLANATION_BUDGET // (base.n_seeds * leaves * depth**2)),
    )


def _as_point(base: FitParameters) -> dict[str, Any]:
    """The base as a point of the search space, so that the sampler learns from it too; what lies outside goes to the edge."""
    return {
        "max_depth": int(np.clip(base.max_depth, 3, _MAX_DEPTH)),
        "num_leaves": int(np.clip(base.num_leaves, 4, 2**_MAX_DEPTH)),
        "learning_rate": float(np.clip(base.learning_rate, 0.02, 0.15)),
        "min_data_in_leaf": int(np.clip(base.min_data_in_leaf, 10, 400)),
        "feature_fraction": float(np.clip(base.feature_fraction, 0.15, 1.0)),
        "bagging_fraction": float(np.clip(base.bagging_fraction, 0.4, 1.0)),
        "lambda_l2": float(np.clip(base.lambda_l2, 0.1, 100.0)),
        "path_smooth": float(np.clip(base.path_smooth, 0.0, 50.0)),
    }


def _mean(losses: Sequence[FoldLoss]) -> float:
    return float(np.mean([loss.mean for loss in losses]))


@contextmanager
def _quiet_optuna() -> Iterator[Any]:
    """Optuna without a line for every trial: `Search.report` shows how far it is."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)
