"""Our figures as metrics of ``mlflow.models.evaluate``, for whoever compares models with MLflow's own tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from training.calibrate import log_losses
from training.evaluate import FloatArray, auc, average_precision, ece


def risk_metrics() -> list[Any]:
    """AUC, average precision, log loss, Brier score and ECE of predicted risks, for ``extra_metrics``.

    Examples
    --------
    >>> [metric.name for metric in risk_metrics()]
    ['auc', 'average_precision', 'log_loss', 'brier', 'ece']
    """
    from mlflow.metrics import make_metric

    greater = {"auc": auc, "average_precision": average_precision}
    smaller = {"log_loss": _mean_log_loss, "brier": _brier, "ece": ece}
    named = [(name, figure, True) for name, figure in greater.items()] + [(name, figure, False) for name, figure in smaller.items()]
    return [make_metric(eval_fn=_of_columns(figure), greater_is_better=better, name=name) for name, figure, better in named]


def _of_columns(figure: Callable[[FloatArray, Any], float]) -> Callable[[Any, Any], float]:
    def evaluated(predictions: Any, targets: Any) -> float:
        return figure(np.asarray(predictions, dtype=np.float64), np.asarray(targets, dtype=bool))

    return evaluated


def _mean_log_loss(probabilities: FloatArray, outcomes: Any) -> float:
    return float(log_losses(probabilities, outcomes).mean())


def _brier(probabilities: FloatArray, outcomes: Any) -> float:
    return float(((probabilities - outcomes) ** 2).mean())
