"""Put a trained model into the current MLflow run: parameters, figures, plots, card, data and the model itself."""

from __future__ import annotations

import importlib.metadata
import math
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from features.core.product import AttributeType
from models.bundle import write_bundle
from models.signature import Signature
from training.evaluate import Interval
from training.frame import OUTCOME, TrainingFrame
from training.model_card import model_card
from training.pipeline import TrainedModel
from training.plots import cause_plot, reliability_plot, roc_and_pr, segment_plot
from training.review import MODEL

_REQUIREMENTS = ("mlflow", "numpy", "pandas", "lightgbm", "orjson")
"""What the logged model needs to load alone."""

_ROOT = Path(__file__).resolve().parent.parent
_CODE = ("models", "features/__init__.py", "features/core")
"""What travels with the logged model, so that it loads outside a checkout."""

_SEGMENT_FIGURES = ("rows", "share", "dropout_rate", "mean_risk", "brier", "auc")
_COLUMN_TYPE = {AttributeType.CATEGORY: "string", AttributeType.NUMBER: "double", AttributeType.BOOLEAN: "boolean"}


def record(trained: TrainedModel, facts: Mapping[str, str], *, source: Path) -> str:
    """Log everything to the active run; returns the URI of the logged model. Nothing is registered yet.

    Parameters
    ----------
    facts
        Fingerprints, hashes and versions by name; become tags of the run, prefixed ``stillhere.``.
    source
        Where the rows came from: the raw log's folder.
    """
    import mlflow

    mlflow.set_tags({f"stillhere.{name}": value for name, value in facts.items()})
    mlflow.log_params(parameters(trained))
    mlflow.log_metrics(metrics(trained))
    _log_plots(trained)
    _log_segments(trained)
    mlflow.log_text(model_card(trained, facts), "model_card.md")
    for context, frame in (("training", trained.slices.fitted), ("testing", trained.slices.test)):
        _log_data(frame, context, source)
    return _log_model(trained)


def parameters(trained: TrainedModel) -> dict[str, Any]:
    """Parameters to log. Every name has a dot: MLflow refuses a run that logs one of MLproject's own parameters again."""
    logged = {f"lightgbm.{name}": value for name, value in asdict(trained.parameters).items()}
    logged["lightgbm.rounds"] = trained.fitted.rounds
    logged["label.horizon_days"] = trained.slices.train.horizon.total_seconds() / 86400
    logged["calibration.method"] = trained.calibration.calibration.method.value
    for name, summary in trained.content.about["slices"].items():
        logged[f"slice.{name}.from"] = summary["from"]
        logged[f"slice.{name}.to"] = summary["to"]
    return logged


def metrics(trained: TrainedModel) -> dict[str, float]:
    """Figures to log: ``<scorer>.<figure>`` with ``_low`` and ``_high``, slice sizes, and what an explanation costs."""
    logged: dict[str, float] = {"contrib.one_row_ms": trained.review.causes.one_row_ms, "stop.log_loss": trained.fitted.stop_log_loss}
    for scorer, evaluation in trained.review.evaluations.items():
        prefix = scorer.replace(" ", "_")
        for name, interval in evaluation.figures.items():
            logged |= _with_bounds(f"{prefix}.{name}", interval)
    if trained.review.gain_over_recency is not None:
        logged |= _with_bounds("gain_over_recency.auc", trained.review.gain_over_recency)
    for name, summary in trained.content.about["slices"].items():
        logged |= {f"slice.{name}.{figure}": float(summary[figure]) for figure in ("rows", "users", "dropout_rate")}
    logged |= {f"calibration.{name}_log_loss": loss for name, loss in trained.calibration.log_loss.items()}
    logged |= _segment_metrics(trained) | _stability_metrics(trained)
    return {name: value for name, value in logged.items() if not math.isnan(value)}


def _segment_metrics(trained: TrainedModel) -> dict[str, float]:
    logged = {}
    if trained.segments is not None:
        logged = {"segments.k": float(trained.segments.k), "segments.ids_kept": float(len(trained.segments.kept))}
        logged |= {f"segments.silhouette_k{score.k}": score.silhouette for score in trained.segments.scores}
    for figures in trained.segment_figures:
        prefix = f"segment.{figures.segmentation}.{figures.segment}"
        logged |= {f"{prefix}.{name}": float(getattr(figures, name)) for name in _SEGMENT_FIGURES}
    return logged


def _stability_metrics(trained: TrainedModel) -> dict[str, float]:
    stability = trained.content.cause_stability
    if stability is None:
        return {}
    logged = {name: float(getattr(stability, name)) for name in ("agreement", "agreement_of_stable", "stable_share", "min_lead")}
    logged |= {f"{cause}_agreement": share for cause, share in stability.agreement_by_cause.items()}
    return {f"cause_stability.{name}": value for name, value in logged.items()}


def _with_bounds(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _log_plots(trained: TrainedModel) -> None:
    import mlflow

    outcomes = trained.slices.test.outcomes
    causes = trained.review.causes
    curves = {name: e.probabilities for name, e in trained.review.evaluations.items() if name == MODEL}
    mlflow.log_figure(roc_and_pr(trained.review.scores, outcomes), "plots/roc_pr.png")
    mlflow.log_figure(reliability_plot(curves, outcomes), "plots/reliability.png")
    mlflow.log_figure(cause_plot(causes.names, causes.sums), "plots/shap_by_cause.png")


def _log_segments(trained: TrainedModel) -> None:
    import mlflow
    import pandas as pd

    mlflow.log_table(pd.DataFrame([asdict(figures) for figures in trained.segment_figures]), "segments/figures.json")
    if trained.segments is not None:
        mlflow.log_table(pd.DataFrame([asdict(score) for score in trained.segments.scores]), "segments/k.json")
        mlflow.log_figure(segment_plot(trained.segments), "plots/segments.png")


def _log_data(frame: TrainingFrame, context: str, source: Path) -> None:
    import mlflow
    from mlflow.data.pandas_dataset import from_pandas
    from mlflow.data.sources import LocalArtifactDatasetSource

    where = LocalArtifactDatasetSource(str(source.absolute()))
    name = f"{frame.product.name}-{context}"
    dataset = from_pandas(frame.rows, source=where, targets=OUTCOME, name=name, digest=frame.fingerprint())
    mlflow.log_input(dataset, context=context)


def _log_model(trained: TrainedModel) -> str:
    import mlflow.pyfunc

    with _staged_code() as code_paths, tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        bundle = write_bundle(Path(scratch) / "bundle", trained.content)
        warnings.filterwarnings("ignore", ".*An input example was not provided", UserWarning)  # rows of real users stay out of the model
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(_ROOT / "training" / "model_script.py"),
            artifacts={"bundle": str(bundle)},
            code_paths=code_paths,
            signature=mlflow_signature(trained.content.signature),
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in _REQUIREMENTS],
            metadata={"feature_fingerprint": trained.content.signature.feature_fingerprint},
        )
    return str(info.model_uri)


def mlflow_signature(signature: Signature) -> Any:
    """Our signature as MLflow's: features are required doubles, attributes optional."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    inputs = [ColSpec("double", name) for name in signature.feature_names]
    inputs += [ColSpec(_COLUMN_TYPE[attribute.type], attribute.name, required=False) for attribute in signature.attributes]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec("double", "risk")]))


@contextmanager
def _staged_code() -> Iterator[list[str]]:
    """Yield the top-level folders of a copy of the code that the logged model imports, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        for part in _CODE:
            source, target = _ROOT / part, Path(folder) / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.nbc", "*.nbi"))
            else:
                shutil.copyfile(source, target)
        yield sorted(str(path) for path in Path(folder).iterdir())
