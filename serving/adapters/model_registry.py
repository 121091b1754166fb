"""The champion's bundle as a verified local folder; losing MLflow changes no answer."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from models.bundle import REGISTRATION, verify_bundle
from models.errors import ModelError

CHAMPION = "champion"
_SQLITE = "sqlite:///"
CURRENT = "current.json"
"""In the cache folder: ``{"version": "onboarding/3", "folder": "3"}``, the version that was champion when the registry last answered."""


_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # no such model; no such alias


class RegistryError(Exception):
    """MLflow or its store could not be reached or answered wrongly; the cause is chained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """What the alias points at."""

    name: str
    version: str
    run_id: str  # of the run that made it (its source, where no run did): version numbers start again at 1 in a new database


def fetch_champion(product_name: str, cache_dir: Path) -> Path | None:
    """Folder of the champion's verified bundle; None if there is none, here or in MLflow.

    Asks MLflow which version is champion, downloads it to ``cache_dir/<version>`` unless a verified copy of the same run is there, and
    remembers it in ``current.json``. When MLflow is away or its copy is corrupt, the last verified local bundle is returned instead.
    Takes seconds (the first call imports MLflow): call it off the request path.
    """
    try:
        champion = resolve_champion(product_name)
        return None if champion is None else _fetch(champion, product_name, cache_dir)
    except (RegistryError, ModelError):
        return newest_local(cache_dir)


def resolve_champion(product_name: str) -> Champion | None:
    """Name the version that the alias ``champion`` points at; None if no model of this product was ever registered or promoted.

    Raises
    ------
    RegistryError
        If MLflow does not answer.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.exceptions import MlflowException

    _require_database(str(mlflow.get_tracking_uri()))
    name = f"stillhere-{product_name}"
    try:
        version = mlflow.MlflowClient().get_model_version_by_alias(name, CHAMPION)
    except Exception as exc:  # whatever the driver of the store raises, SQLAlchemy's or the system's: the local copy serves
        if isinstance(exc, MlflowException) and exc.error_code in _ABSENT:
            return None
        raise RegistryError(f"MLflow at {mlflow.get_tracking_uri()} could not name the champion of {name}: {exc}") from exc
    return Champion(name=name, version=str(version.version), run_id=str(version.run_id or version.source))


def _require_database(uri: str) -> None:
    """Asking a SQLite store that is not there would make one; its schema is training's to make, under a lock."""
    path = Path(uri.removeprefix(_SQLITE))
    if uri.startswith(_SQLITE) and not path.is_file():
        raise RegistryError(f"MLflow's database {path} is not there; train a model first, or set MLFLOW_TRACKING_URI")


def newest_local(cache_dir: Path) -> Path | None:
    """Last verified local bundle: the one in ``current.json``, else the highest version that verifies; None if there is none."""
    for folder in _candidates(cache_dir):
        try:
            verify_bundle(folder)
        except ModelError:
            continue
        return folder
    return None


def _candidates(cache_dir: Path) -> list[Path]:
    try:
        named = [cache_dir / str(json.loads((cache_dir / CURRENT).read_text())["folder"])]
    except (OSError, ValueError, TypeError, LookupError):  # there is none, or it was damaged: the newest whole copy serves
        named = []
    versions = [path for path in cache_dir.glob("*") if path.is_dir() and path.name.isdigit()]
    return named + sorted(versions, key=lambda path: -int(path.name))


def _fetch(champion: Champion, product_name: str, cache_dir: Path) -> Path:
    folder = cache_dir / champion.version
    if not _is_copy(folder, champion):
        _download(champion, product_name, folder)
    _replace_text(cache_dir / CURRENT, json.dumps({"version": f"{product_name}/{champion.version}", "folder": champion.version}))
    return folder


def _is_copy(folder: Path, champion: Champion) -> bool:
    """Whether the folder holds this very champion, whole; a version of the same number from another database is none."""
    try:
        verify_bundle(folder)
        registration = json.loads((folder / REGISTRATION).read_text())
    except (ModelError, OSError, ValueError):
        return False
    return isinstance(registration, dict) and registration.get("run_id") == champion.run_id


def _download(champion: Champion, product_name: str, folder: Path) -> None:
    """Download beside the target, verify, then move into place: the target is whole or absent."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
        fetched = _download_artifacts(champion, Path(scratch))
        verify_bundle(fetched)
        registration = {"version": f"{product_name}/{champion.version}", "name": champion.name, "run_id": champion.run_id}
        (fetched / REGISTRATION).write_text(json.dumps(registration))
        if folder.exists():  # a corrupt copy, or one of another database
            shutil.rmtree(folder)
        try:
            fetched.replace(folder)
        except OSError:
            if not _is_copy(folder, champion):  # unless another process fetched the same version meanwhile
                raise


def _download_artifacts(champion: Champion, target: Path) -> Path:
    import mlflow.artifacts

    uri = f"models:/{champion.name}/{champion.version}/artifacts/bundle"
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(target)))
    except Exception as exc:  # as above
        raise RegistryError(f"MLflow could not deliver {uri}: {exc}") from exc


def _replace_text(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
