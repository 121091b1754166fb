"""Stages of a pipeline: each becomes a nested MLflow run with its duration and its own figures.

    with stage("fit") as note:
        fitted = fit(...)
        note({"fit.rounds": fitted.rounds})

The pipeline itself knows only `Stage`; outside MLflow, as in a notebook, it is `no_stage`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress

from training.errors import RegistryError
from training.process_mark import mark
from training.registry import registry_errors
from training.tracking import STAGE_TAG, STOPPED_IN

Note = Callable[[Mapping[str, float]], None]
"""Takes figures of the stage by name; the same name as on the run itself."""

Stage = Callable[[str], AbstractContextManager[Note]]
"""Called with the stage's name; what happens in the block belongs to it."""


@contextmanager
def no_stage(name: str) -> Iterator[Note]:  # noqa: ARG001 - the shape of Stage
    """Note nothing anywhere."""
    yield _ignore


@contextmanager
def mlflow_stage(name: str) -> Iterator[Note]:
    """Nest a run in the active one, with its duration as ``stage.seconds``. A stage that raises ends as FAILED, and its parent names it.

    Also one that is interrupted while it begins: its run may be there already, and `training.tracking.run_of` ends it with the parent's.

    Examples
    --------
    ``mlflow_stage("fit")`` inside a run makes a child run called ``fit``; see ``tests/unit/training/test_stages.py``.
    """
    import mlflow

    parent = mlflow.active_run()
    started = time.perf_counter()
    try:
        with mlflow.start_run(nested=True, run_name=name, tags={STAGE_TAG: name, **mark()}):
            yield mlflow.log_metrics
            mlflow.log_metric("stage.seconds", round(time.perf_counter() - started, 3))
    except BaseException:  # also Ctrl-C
        if parent is not None:
            with suppress(RegistryError), registry_errors("saying where the run stopped"):
                mlflow.MlflowClient().set_tag(parent.info.run_id, STOPPED_IN, name)
        raise


def _ignore(figures: Mapping[str, float]) -> None:
    """Forget the figures."""
