"""What a process that was killed left behind: runs that seem to go on, and a version without a place. The next run of the product tidies.

Touched is what a process of this host began that is gone (`training.process_mark`), never what another host or a living process makes; and
runs of ours that name no process, as earlier releases made them, once they gave no sign of life for `SILENT`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from training.errors import RegistryError
from training.process_mark import PROCESS, here, is_gone
from training.registry import UNFINISHED, describe_aliases, registered_name, registry_errors
from training.tracking import NOTE_TAG, PARENT, STAGE_TAG, STOPPED, STOPPED_IN, store_lock

WITHOUT_A_WORD = "its process ended without a word"

SILENT = timedelta(hours=48)
"""Without a run, nested run or metric begun, ended or logged; the longest command takes hours, and logs as it goes."""
WITHOUT_A_SIGN = (
    f"it names no process, as runs of earlier releases, and gave no sign of life for {SILENT // timedelta(hours=1)} hours:"
    " ended by a later run"
)

_OURS = "stillhere."  # what our tags begin with
_MOST = 200  # looked at by one run; whatever is more, the next one tidies


def end_leftovers(run_id: str) -> None:
    """End what runs beside a run, in its experiment, and whose process is gone: KILLED, nested ones too; their parents name the stage."""
    import mlflow

    client = mlflow.MlflowClient()
    with _as_a_favour():
        experiment_id = client.get_run(run_id).info.experiment_id
        for run in client.search_runs([experiment_id], f"attributes.status = 'RUNNING' and {_made_here(PROCESS)}", max_results=_MOST):
            if is_gone(run.data.tags[PROCESS]):
                with _as_a_favour():
                    _end(client, run, WITHOUT_A_WORD)
        _end_unmarked(client, experiment_id, before_ms=int((datetime.now(UTC) - SILENT).timestamp() * 1000))


def _end_unmarked(client: Any, experiment_id: str, *, before_ms: int) -> None:
    """End what is ours, names no process, and gave no sign since an instant; who knows of no such mark cannot be asked whether it lives."""
    silent = f"attributes.status = 'RUNNING' and attributes.start_time < {before_ms}"
    found = client.search_runs([experiment_id], silent, max_results=_MOST)
    left = [run for run in found if PROCESS not in run.data.tags and _is_left(client, run, before_ms)]
    for run in left:  # all were looked at before the first is ended, which would be a sign of life of its parent
        with _as_a_favour():
            _end(client, run, WITHOUT_A_SIGN)


def _is_left(client: Any, run: Any, before_ms: int) -> bool:
    """Whether the run, with what is nested in it, is ours and gave no sign since."""
    family = [run, *_nested(client, run)]
    return any(map(_is_ours, family)) and all(_last_sign_ms(client, each) < before_ms for each in family)


def _nested(client: Any, run: Any) -> list[Any]:
    """All runs in the run, at any depth."""
    children = client.search_runs([run.info.experiment_id], f"tags.`{PARENT}` = '{run.info.run_id}'", max_results=_MOST)
    return [each for child in children for each in (child, *_nested(client, child))]


def _is_ours(run: Any) -> bool:
    return any(name.startswith(_OURS) for name in run.data.tags)


def _last_sign_ms(client: Any, run: Any) -> int:
    """When the run began, ended, or logged a metric last; milliseconds since the epoch."""
    logged = [int(each.timestamp) for key in run.data.metrics for each in client.get_metric_history(run.info.run_id, key)]
    return max(int(run.info.start_time), int(run.info.end_time or 0), *logged)


def finish_leftovers(product: str) -> None:
    """Take the versions away that a process that is gone registered and gave no place; what had got a place is finished instead."""
    import mlflow

    client, name = mlflow.MlflowClient(), registered_name(product)
    with _as_a_favour():
        for found in client.search_model_versions(f"name = '{name}' and {_made_here(UNFINISHED)}", max_results=_MOST):
            if is_gone(found.tags[UNFINISHED]):
                with _as_a_favour():
                    _finish_or_delete(client, name, str(found.version))


def finish(client: Any, name: str, version: str, note: str) -> None:
    """Say of a version that has its place what is true of it from now on."""
    client.update_model_version(name, version, description=note)
    client.delete_model_version_tag(name, version, UNFINISHED)


def _end(client: Any, run: Any, because: str) -> None:
    tags = run.data.tags
    if parent := tags.get(PARENT):
        _say_in_parent(client, parent, tags.get(STAGE_TAG), because)
    client.set_tag(run.info.run_id, STOPPED, because)
    client.set_terminated(run.info.run_id, "KILLED")


def _say_in_parent(client: Any, parent: str, stage: str | None, because: str) -> None:
    """The parent may have ended before: `mlflow run` calls a run failed whose command was killed, and does not know why."""
    present = client.get_run(parent).data.tags
    said = {STOPPED: because} | ({} if stage is None else {STOPPED_IN: stage})
    for tag, text in said.items():
        if tag not in present:
            client.set_tag(parent, tag, text)


def _finish_or_delete(client: Any, name: str, version: str) -> None:
    import mlflow

    with store_lock(str(mlflow.get_registry_uri())):  # as whoever moves the champion
        found = client.get_model_version(name, version)
        if version in describe_aliases(name).values():
            finish(client, name, version, client.get_run(found.run_id).data.tags.get(NOTE_TAG, ""))
        else:
            client.delete_model_version(name, version)


@contextmanager
def _as_a_favour() -> Iterator[None]:
    """Let whoever starts a run go on where its registry does not answer to this; if it answers to nothing, that is said soon enough."""
    with suppress(RegistryError), registry_errors("tidying what a killed process left"):
        yield


def _made_here(tag: str) -> str:
    return f"tags.`{tag}` LIKE '{here()} %'"
