"""MLflow's tracking store: made once, under a lock, before anything else starts."""

from __future__ import annotations

import fcntl
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from training.errors import RegistryError
from training.process_mark import mark
from training.registry import registry_errors

STOPPED = "stillhere.stopped_because"
"""Tag of a run that did not finish."""
STOPPED_IN = "stillhere.stopped_in"
"""Tag of a run that did not finish: the stage that raised."""
STAGE_TAG = "stillhere.stage"
"""Tag of a nested run: which stage it is."""
NOTE_TAG, PARENT = "mlflow.note.content", "mlflow.parentRunId"
"""MLflow's own tags: what it shows as the description of a run, and which run a nested one is in."""

_JOINS = "MLFLOW_RUN_ID"  # set by `mlflow run`; MLflow takes it away when the run is joined
_SQLITE = "sqlite:///"
_RUN_NAME = "mlflow.runName"
_RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")


def prepare_tracking() -> str:
    """Make MLflow's database and its schema if they are not there, and return the tracking URI.

    Several processes may call it at once: one makes the schema, the others wait for its lock. The store is MLflow's own default
    (``sqlite:///mlflow.db`` in the working directory) unless ``MLFLOW_TRACKING_URI`` says otherwise.

    Raises
    ------
    RegistryError
        If the store does not answer.
    """
    mlflow = _quiet_mlflow()
    uri = str(mlflow.get_tracking_uri())
    with store_lock(uri), registry_errors("opening the tracking store"):
        client = mlflow.MlflowClient()
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
    return uri


@contextmanager
def run_of(product: str, title: str) -> Iterator[str]:
    """Join the run that ``mlflow run`` started, or start one in the product's own experiment; yields its id.

    A run that stops is FAILED and tagged ``stillhere.stopped_because``, also one that is interrupted, and with it whatever is nested in it.
    Of a process that is killed the mark stays, and the next run of the product ends it: `training.leftovers`.
    """
    import mlflow

    joined = os.environ.get(_JOINS)
    if joined is None:
        mlflow.set_experiment(experiment_name(product))
    run_id = joined
    with registry_errors("recording the run"):
        try:
            run_id = str(mlflow.start_run(run_name=None if joined else title, tags=mark()).info.run_id)
            name_run(title)
            yield run_id
        except BaseException as exc:  # also Ctrl-C
            with suppress(RegistryError), registry_errors("saying why the run stopped"):
                _end_as_failed(run_id, str(exc) or f"interrupted ({type(exc).__name__})")
            raise
        mlflow.end_run()


def _end_as_failed(run_id: str | None, because: str) -> None:
    """End the run and all that is nested in it; None: the one that had been started when the interruption came, if any."""
    import mlflow

    client, active = mlflow.MlflowClient(), mlflow.active_run()
    run_id = run_id or (None if active is None else str(active.info.run_id))
    if run_id is None:
        return
    client.set_tag(run_id, STOPPED, because)
    _end_nested(client, run_id)
    while (active := mlflow.active_run()) is not None:  # MLflow ends the innermost; a stage may have been on the way in
        mlflow.end_run("FAILED")
        if active.info.run_id == run_id:
            return
    client.set_terminated(run_id, "FAILED")


def _end_nested(client: Any, run_id: str) -> None:
    """End what an interruption between making a nested run and entering it left RUNNING; its parent says which stage it was."""
    experiment_id = client.get_run(run_id).info.experiment_id
    for nested in client.search_runs([experiment_id], f"tags.`{PARENT}` = '{run_id}' and attributes.status = 'RUNNING'"):
        _end_nested(client, nested.info.run_id)
        if stage := nested.data.tags.get(STAGE_TAG):
            client.set_tag(run_id, STOPPED_IN, stage)
        client.set_terminated(nested.info.run_id, "FAILED")


@contextmanager
def joined_run(title: str) -> Iterator[None]:
    """Join the run that ``mlflow run`` started, as `run_of` does; where there is none, make none: for what is no experiment."""
    if _JOINS not in os.environ:
        yield
        return
    _quiet_mlflow()
    with run_of("", title):
        yield


def name_run(title: str) -> None:
    """Give the active run a name that says what it is, unless somebody chose one: MLflow's own are two random words and a number."""
    import mlflow

    run = mlflow.active_run()
    if run is not None:
        _name(str(run.info.run_id), title)


def name_unjoined_run(title: str, *, because: str) -> None:
    """Name the run that ``mlflow run`` started for a command that stopped before it joined it, and say why; without one, do nothing."""
    run_id = os.environ.get(_JOINS)
    if run_id is None:
        return
    mlflow = _quiet_mlflow()
    with suppress(RegistryError), registry_errors("naming the run"):  # the command's own error is said in any case
        _name(run_id, title)
        mlflow.MlflowClient().set_tag(run_id, STOPPED, because)


def _name(run_id: str, title: str) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    present = client.get_run(run_id).data.tags.get(_RUN_NAME, "")
    if _RANDOM_NAME.fullmatch(present) or title.startswith(present):
        client.set_tag(run_id, _RUN_NAME, title)


def experiment_name(product: str) -> str:
    """Name of the experiment that a product's runs are in, unless `mlflow run` chose another.

    Examples
    --------
    >>> experiment_name("onboarding")
    'stillhere-onboarding'
    """
    return f"stillhere-{product}"


def runs_page(product: str, url: str) -> str:
    """Where a product's runs are in MLflow's page at ``url``; the page itself opens on traces of language models."""
    experiment = _quiet_mlflow().get_experiment_by_name(experiment_name(product))
    place = "" if experiment is None else f"/{experiment.experiment_id}"
    return f"{url}/#/experiments{place}?workflowType=machine_learning"


def _quiet_mlflow() -> Any:
    """Import MLflow and keep it from calling home, printing every step of a new schema, and showing a progress bar beside ours."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # seconds, not minutes, until a server that is away is called away
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of type hints of its own while it is imported
        import mlflow.pyfunc
    return mlflow


@contextmanager
def store_lock(uri: str) -> Iterator[None]:
    """Hold an exclusive lock beside a SQLite file; a server behind any other URI keeps its own schema."""
    if not uri.startswith(_SQLITE):
        yield
        return
    path = Path(uri.removeprefix(_SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, also by a crash
        yield
