"""One MLflow run for whatever is done with a product, which says what it was, with which features and under which policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from features.core.product import Product
from training.leftovers import end_leftovers, finish_leftovers
from training.provenance import note_product
from training.tracking import prepare_tracking, run_of

_LOOKED_AT = 50

KIND = "stillhere.kind"
"""Tag that says what a run did."""


@contextmanager
def tracked_run(product: Product, kind: str, *, product_dir: Path | None = None, title: str = "") -> Iterator[str]:
    """Join the run that ``mlflow run`` started, or start one in the product's experiment; yields the run id.

    Whatever stops it becomes the tag ``stillhere.stopped_because`` of a failed run. What a killed process left of earlier runs of the
    experiment, and of the product's versions, is tidied first (`training.leftovers`).

    Parameters
    ----------
    kind
        What is done, as the command is called.
    product_dir
        Folder with the policy whose hash the run keeps; None: no policy is recorded.
    title
        Name of the run; default: the kind.
    """
    prepare_tracking()
    import mlflow

    with run_of(product.name, title or kind) as run_id:
        mlflow.set_tag(KIND, kind)
        note_product(product, product_dir)
        end_leftovers(run_id)
        finish_leftovers(product.name)
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
