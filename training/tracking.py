"""MLflow's tracking store: made once, under a lock, before anything else starts."""

from __future__ import annotations

import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SQLITE = "sqlite:///"


def prepare_tracking() -> str:
    """Make MLflow's database and its schema if they are not there, and return the tracking URI.

    Several processes may call it at once: one makes the schema, the others wait for its lock. The store is MLflow's own default
    (``sqlite:///mlflow.db`` in the working directory) unless ``MLFLOW_TRACKING_URI`` says otherwise.
    """
    mlflow = _quiet_mlflow()
    uri = str(mlflow.get_tracking_uri())
    with _lock(uri):
        client = mlflow.MlflowClient()
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
    return uri


def _quiet_mlflow() -> Any:
    """Import MLflow and keep it from calling home, printing every step of a new schema, and showing a progress bar beside ours."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of type hints of its own while it is imported
        import mlflow.pyfunc
    return mlflow


@contextmanager
def _lock(uri: str) -> Iterator[None]:
    """Hold an exclusive lock beside a SQLite file; a server behind any other URI keeps its own schema."""
    if not uri.startswith(_SQLITE):
        yield
        return
    path = Path(uri.removeprefix(_SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, also by a crash
        yield
