"""One training run from a raw log to the registry: the only place where the pipeline meets Feast and MLflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.core.product import Product
from features.home import Home
from training.dataset import build_frame
from training.errors import TrainingError
from training.fit import FitParameters
from training.frame import TrainingFrame
from training.pipeline import Report, TrainedModel, say_nothing, train_model, with_about
from training.record import record
from training.register import Registration, champion_segments, register_champion
from training.tracking import experiment_name, prepare_tracking
from training.tune import Search
from training.tuning_run import tune_frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may be chosen for a run."""

    fit: FitParameters = field(default_factory=FitParameters)
    labels: str | None = None  # as for `training.dataset.build_frame`
    tune_trials: int = 0  # trials to search parameters with first, beginning from `fit`; 0: none
    tune_timeout_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a successful run left behind."""

    registration: Registration
    run_id: str
    tracking_uri: str
    trained: TrainedModel


def train_product(
    product: Product,
    home: Home,
    *,
    product_dir: Path | None = None,
    seed: int = 0,
    options: Options | None = None,
    report: Report = say_nothing,
) -> Outcome:
    """Train on everything imported so far, record the run in MLflow, and make the model champion.

    Registering is the last step: a run that fails before leaves a failed run and nothing else.

    Parameters
    ----------
    product_dir
        The product's folder, for the hash of its policy; None: no policy is recorded.

    Raises
    ------
    TrainingError
        If the log is empty, too short, has no mature labels or only one outcome.
    """
    options = options or Options()
    report("preparing MLflow", 0.0)
    tracking_uri = prepare_tracking()
    report("preparing MLflow", 1.0)
    with _mlflow_run(product) as run_id:
        frame = build_frame(product, home, labels=options.labels, report=report)
        previous = champion_segments(product.name)
        trained = train_model(
            frame, parameters=_parameters(frame, options, seed=seed, report=report), seed=seed, report=report, previous=previous
        )
        trained = with_about(trained, run_id=run_id)
        report("recording the run", 0.0)
        facts = _facts(product, trained, seed=seed, product_dir=product_dir)
        model_uri = record(trained, facts, source=home.raw_dir(product.name))
        report("recording the run", 1.0)
        report("registering", 0.0)
        registration = register_champion(product.name, model_uri, run_id=run_id, tags=facts)
        report("registering", 1.0)
    return Outcome(registration=registration, run_id=run_id, tracking_uri=tracking_uri, trained=trained)


def _parameters(frame: TrainingFrame, options: Options, *, seed: int, report: Report) -> FitParameters:
    if options.tune_trials == 0:
        return options.fit
    search = Search(base=options.fit, n_trials=options.tune_trials, timeout_s=options.tune_timeout_s, seed=seed, report=report)
    return tune_frame(frame, search).parameters


@contextmanager
def _mlflow_run(product: Product) -> Iterator[str]:
    """Join the run that ``mlflow run`` started, or start one in the product's own experiment."""
    import mlflow

    if "MLFLOW_RUN_ID" not in os.environ:
        mlflow.set_experiment(experiment_name(product.name))
    with mlflow.start_run() as run:
        run_id: str = run.info.run_id
        try:
            yield run_id
        except TrainingError as exc:
            mlflow.set_tag("stillhere.stopped_because", str(exc))  # the run itself ends as FAILED
            raise


def _facts(product: Product, trained: TrainedModel, *, seed: int, product_dir: Path | None) -> dict[str, str]:
    facts = {
        "product": product.name,
        "seed": str(seed),
        "feature_fingerprint": product.catalogue.fingerprint,
        "data_fingerprint": trained.slices.train.data_fingerprint,
        "rows_fingerprint": trained.slices.fitted.fingerprint(),
    }
    policy_hash = _policy_hash(product, product_dir)
    return facts if policy_hash is None else facts | {"policy_hash": policy_hash}


def _policy_hash(product: Product, product_dir: Path | None) -> str | None:
    """Hash of the policy that stands beside the product now; None without one."""
    if product_dir is None or not (product_dir / "policy.yaml").is_file():
        return None
    from serving.policy_file import load_policy

    policy: Any = load_policy(product_dir / "policy.yaml", product)
    return str(policy.hash)
