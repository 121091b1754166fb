"""Put a trained model into the current MLflow run: parameters, figures, plots, card, data and the model itself."""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from features.core.product import AttributeType
from models.bundle import BundleContent, write_bundle
from models.levels import CohortLevels
from models.signature import Signature
from training.horizons import HorizonFigures
from training.model_card import model_card
from training.pipeline import TrainedModel, calibration_metrics
from training.plots import cohort_plot, segment_plot
from training.provenance import log_data
from training.record_review import finite, record_review, record_verdict
from training.standing import Standing
from training.tables import cohort_table
from training.timing.run import timing_metrics

_REQUIREMENTS = ("mlflow", "numpy", "pandas", "lightgbm", "orjson")
"""What the logged model needs to load alone."""

_ROOT = Path(__file__).resolve().parent.parent
_CODE = ("models", "features/__init__.py", "features/core")
"""What travels with the logged model, so that it loads outside a checkout."""

_COLUMN_TYPE = {AttributeType.CATEGORY: "string", AttributeType.NUMBER: "double", AttributeType.BOOLEAN: "boolean"}


def record(
    trained: TrainedModel, facts: Mapping[str, str], *, source: Path, standing: Standing, horizons: Sequence[HorizonFigures] = ()
) -> str:
    """Log everything to the active run; returns the URI of the logged model. Nothing is registered yet.

    Parameters
    ----------
    facts
        Fingerprints, hashes and versions by name; become tags of the run, prefixed ``stillhere.``.
    source
        Where the rows came from: the raw log's folder.
    standing
        What is to become of the model, and why.
    """
    import mlflow

    mlflow.set_tags({f"stillhere.{name}": value for name, value in facts.items()})
    mlflow.log_params(parameters(trained))
    record_review(trained.review, trained.slices.test, horizons, beside=standing.replaces)
    mlflow.log_metrics(metrics(trained))
    _log_segments(trained)
    _log_cohorts(trained)
    if standing.verdict is not None:
        record_verdict(standing.verdict)
    mlflow.log_text(model_card(trained, facts, standing=standing), "model_card.md")
    for context, frame in (("training", trained.slices.fitted), ("testing", trained.slices.test)):
        log_data(frame, context, source)
    return log_model(trained.content)


def parameters(trained: TrainedModel) -> dict[str, Any]:
    """Parameters to log. Every name has a dot: MLflow refuses a run that logs one of MLproject's own parameters again."""
    logged = {f"lightgbm.{name}": value for name, value in asdict(trained.parameters).items()}
    logged["lightgbm.rounds"] = trained.fitted.rounds
    logged["label.horizon_days"] = trained.slices.train.horizon.total_seconds() / 86400
    logged["calibration.method"] = trained.calibration.calibration.method.value
    logged["calibration.compared_by"] = trained.calibration.compared_by.value
    if trained.calibration.correction is not None:
        logged["correction.method"] = trained.calibration.correction.correction.value
    for name, summary in trained.content.about["slices"].items():
        logged[f"slice.{name}.from"] = summary["from"]
        logged[f"slice.{name}.to"] = summary["to"]
    return logged


def metrics(trained: TrainedModel) -> dict[str, float]:
    """Figures of the fit: slice sizes, stopping and calibration losses, segments, timing. Those of the model: `review_metrics`."""
    logged: dict[str, float] = {"stop.log_loss": trained.fitted.stop_log_loss}
    for name, summary in trained.content.about["slices"].items():
        logged |= {f"slice.{name}.{figure}": float(summary[figure]) for figure in ("rows", "users", "dropout_rate")}
    logged |= calibration_metrics(trained.calibration)
    if trained.segments is not None:
        logged |= {"segments.k": float(trained.segments.k), "segments.ids_kept": float(len(trained.segments.kept))}
        logged |= {f"segments.silhouette_k{score.k}": score.silhouette for score in trained.segments.scores}
    return finite(logged | ({} if trained.timing is None else timing_metrics(trained.timing)))


def _log_segments(trained: TrainedModel) -> None:
    import mlflow
    import pandas as pd

    if trained.segments is not None:
        mlflow.log_table(pd.DataFrame([asdict(score) for score in trained.segments.scores]), "tables/segments_k.json")
        mlflow.log_figure(segment_plot(trained.segments), "plots/segments.png")


def _log_cohorts(trained: TrainedModel) -> None:
    """How far the base rate differs between those who came in different weeks, on the calibration slice."""
    import mlflow

    if trained.calibration.correction is not None:
        mlflow.log_table(cohort_table(trained.calibration.correction.drift), "tables/cohorts.json")
        if len(trained.calibration.correction.drift) > 1:  # one week is nothing to compare
            mlflow.log_figure(cohort_plot(trained.calibration.correction), "plots/cohorts.png")


def log_model(content: BundleContent) -> str:
    """Log a bundle to the active run as a pyfunc model that loads alone; returns its URI. Nothing is registered."""
    import mlflow.pyfunc

    with _staged_code() as code_paths, tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        bundle = write_bundle(Path(scratch) / "bundle", content)
        warnings.filterwarnings("ignore", ".*An input example was not provided", UserWarning)  # rows of real users stay out of the model
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(_ROOT / "training" / "model_script.py"),
            artifacts={"bundle": str(bundle)},
            code_paths=code_paths,
            signature=mlflow_signature(content.signature, content.levels),
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in _REQUIREMENTS],
            metadata={"feature_fingerprint": content.signature.feature_fingerprint},
        )
    return str(info.model_uri)


def mlflow_signature(signature: Signature, levels: CohortLevels | None = None) -> Any:
    """Our signature as MLflow's: features are required doubles, attributes and the cohort, which has a level, optional."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    inputs = [ColSpec("double", name) for name in signature.feature_names]
    inputs += [ColSpec(_COLUMN_TYPE[attribute.type], attribute.name, required=False) for attribute in signature.attributes]
    if levels is not None and levels.attribute not in signature.input_names:
        inputs.append(ColSpec("string", levels.attribute, required=False))
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
