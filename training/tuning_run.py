"""A search for parameters from a raw log to a file, with a run in MLflow for the search and one nested in it for each trial."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from features.core.product import Product
from features.home import Home
from training.dataset import build_frame
from training.folds import walk_forward
from training.frame import TrainingFrame
from training.freshness import Look, require_fresh_log
from training.parameters_file import write_parameters
from training.process_mark import mark
from training.provenance import note_rows
from training.split import require_gaps, split_by_time
from training.tracked import tracked_run
from training.tracking import prepare_tracking
from training.tune import Search, Trial, Tuned, tune_on


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningOutcome:
    """What a search left behind."""

    tuned: Tuned
    path: Path  # of the parameters
    run_id: str
    tracking_uri: str


def tune_product(
    product: Product, home: Home, search: Search, *, labels: str | None = None, path: Path | None = None, look: Look | None = None
) -> TuningOutcome:
    """Search on everything imported so far, record every trial in MLflow, and write what was found to a file.

    Parameters
    ----------
    labels
        As for `training.dataset.build_frame`.
    path
        Of the file; default: ``tuned-<product>.json`` in the home.
    look
        When one looks, and how old the log may be; None: any age.

    Raises
    ------
    TrainingError
        If the log is empty, stale, too short, has no mature labels or only one outcome, or the time was too short for one trial.
    """
    path = path or home.root / f"tuned-{product.name}.json"
    uri = prepare_tracking()
    with tracked_run(product, "tune", product_dir=None if look is None else look.product_dir) as run_id:
        require_fresh_log(product, home, look)
        frame = build_frame(product, home, labels=labels, report=search.report)
        note_rows(frame, "tuning", home.raw_dir(product.name))
        tuned = tune_frame(frame, search)
        about = {"product": product.name, "log_loss": tuned.log_loss, "base_log_loss": tuned.base_log_loss, "trials": len(tuned.trials)}
        write_parameters(path, tuned.parameters, about=about | {"seed": search.seed, "run_id": run_id})
        _record_answer(tuned, path)
    return TuningOutcome(tuned=tuned, path=path, run_id=run_id, tracking_uri=uri)


def tune_frame(frame: TrainingFrame, search: Search) -> Tuned:
    """Search on a frame's train and stop slices; trials are nested in the active run of MLflow, if there is one."""
    slices = split_by_time(frame)
    require_gaps(slices)
    return tune_on(walk_forward(slices), replace(search, on_trial=record_trial))


def record_trial(trial: Trial) -> None:
    """Nest a run for the trial in the active one; without one, record nothing."""
    import mlflow

    if mlflow.active_run() is None:
        return
    with mlflow.start_run(nested=True, run_name=f"trial {trial.number}", tags=mark()):
        mlflow.log_params({f"lightgbm.{name}": value for name, value in asdict(trial.parameters).items()})
        mlflow.log_metrics({"tune.rounds": trial.rounds, "tune.seconds": trial.seconds})
        if not math.isnan(trial.log_loss):
            mlflow.log_metric("tune.log_loss", trial.log_loss)
        mlflow.set_tag("stillhere.trial", trial.state)


def _record_answer(tuned: Tuned, path: Path) -> None:
    import mlflow

    mlflow.log_params({f"lightgbm.{name}": value for name, value in asdict(tuned.parameters).items()})
    mlflow.log_metrics({"tune.log_loss": tuned.log_loss, "tune.base_log_loss": tuned.base_log_loss, "tune.trials": len(tuned.trials)})
    mlflow.log_table(tuned.table, "tuning/trials.json")
    mlflow.log_artifact(str(path), "tuning")
