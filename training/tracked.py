"""One MLflow run for whatever looks at a product without registering anything: thresholds, monitor, drift, backtest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from training.errors import TrainingError
from training.tracking import experiment_name, prepare_tracking

_LOOKED_AT = 50

KIND = "stillhere.kind"
"""Tag that says what a run did."""


@contextmanager
def tracked_run(product: str, kind: str) -> Iterator[str]:
    """Join the run that ``mlflow run`` started, or start one in the product's experiment; yields the run id.

    A `TrainingError` inside becomes the tag ``stillhere.stopped_because`` of a failed run.
    """
    prepare_tracking()
    import mlflow

    if "MLFLOW_RUN_ID" not in os.environ:
        mlflow.set_experiment(experiment_name(product))
    with mlflow.start_run(run_name=None if "MLFLOW_RUN_ID" in os.environ else kind) as run:
        mlflow.set_tags({KIND: kind, "stillhere.product": product})
        run_id: str = run.info.run_id
        try:
            yield run_id
        except TrainingError as exc:
            mlflow.set_tag("stillhere.stopped_because", str(exc))
            raise


def latest_run(product: str, kind: str, *, with_tag: str) -> Any | None:
    """The newest run of that kind that came as far as setting the tag, in whichever experiment `mlflow run` put it; None without one.

    Its status says nothing: `mlflow run` calls a run failed whose command ends with anything but 0, as an alarm does.
    """
    import mlflow

    client = mlflow.MlflowClient()
    runs = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()],
        filter_string=f"tags.`{KIND}` = '{kind}' and tags.`stillhere.product` = '{product}'",
        order_by=["attributes.start_time DESC"],
        max_results=_LOOKED_AT,
    )
    return next((run for run in runs if with_tag in run.data.tags), None)
