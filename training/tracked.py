"""One MLflow run for whatever looks at a product without registering anything: thresholds, monitor, drift, backtest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from training.tracking import prepare_tracking, run_of

_LOOKED_AT = 50

KIND = "stillhere.kind"
"""Tag that says what a run did."""


@contextmanager
def tracked_run(product: str, kind: str) -> Iterator[str]:
    """Join the run that ``mlflow run`` started, or start one in the product's experiment; yields the run id.

    Whatever stops it becomes the tag ``stillhere.stopped_because`` of a failed run.
    """
    prepare_tracking()
    import mlflow

    with run_of(product, kind) as run_id:
        mlflow.set_tags({KIND: kind, "stillhere.product": product})
        yield run_id


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
