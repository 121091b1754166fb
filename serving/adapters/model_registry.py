"""What MLflow's aliases point at, as verified local bundles; losing MLflow changes no answer."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.bundle import REGISTRATION, verify_bundle
from models.errors import ModelError

CHAMPION = "champion"
SHADOW = "shadow"
CURRENT = "current.json"
"""In the cache folder: ``{"version": "onboarding/3", "folder": "3"}``, the version that was champion when the registry last answered.

Both are null where the registry said that there is none.
"""
SHADOW_FILE = "shadow.json"
"""The same for the challenger."""
POINTERS = {CHAMPION: CURRENT, SHADOW: SHADOW_FILE}
"""File of the cache folder by alias."""

_SQLITE = "sqlite:///"
_NO_MODEL = "RESOURCE_DOES_NOT_EXIST"
_NO_ALIAS = "INVALID_PARAMETER_VALUE"


class RegistryError(Exception):
    """MLflow or its store could not be reached or answered wrongly; the cause is chained."""


class UnknownModelError(Exception):
    """The registry that answered never heard of this product's model: it is another one, or nothing was trained yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """What an alias points at."""

    name: str
    version: str
    run_id: str  # of the run that made it (its source, where no run did): version numbers start again at 1 in a new database


def fetch_champion(product_name: str, cache_dir: Path) -> Path | None:
    """Folder of the champion's verified bundle; None if there is none, here or in MLflow.

    When MLflow is away or its copy is corrupt, the last verified local bundle is returned instead. Takes seconds (the first call imports
    MLflow): call it off the request path.
    """
    with suppress(RegistryError, ModelError):
        fetch_alias(product_name, CHAMPION, cache_dir)
    return newest_local(cache_dir)


def fetch_alias(product_name: str, alias: str, cache_dir: Path) -> None:
    """Have the bundle that an alias points at here, verified, and remember in the alias' file of `POINTERS` which one it is.

    It is downloaded to ``cache_dir/<version>`` unless a verified copy of the same run is there; other versions stay, as receipts name them.
    The file is written in one step and last: whoever reads it finds a whole bundle. It stays as it is where the registry does not know the
    model at all, and says null where the alias was taken away.

    Raises
    ------
    RegistryError, ModelError
        If MLflow does not answer, or what it delivers is corrupt; the file then stays as it is.
    """
    try:
        champion = _resolve(product_name, alias)
    except UnknownModelError:
        return
    if champion is not None:
        _fetch(champion, product_name, cache_dir / champion.version)
    _point(cache_dir / POINTERS[alias], product_name, None if champion is None else champion.version)


def resolve_champion(product_name: str) -> Champion | None:
    """Name the version that the alias ``champion`` points at; None if no model of this product was ever registered or promoted.

    Raises
    ------
    RegistryError
        If MLflow does not answer.
    """
    try:
        return _resolve(product_name, CHAMPION)
    except UnknownModelError:
        return None


def _resolve(product_name: str, alias: str) -> Champion | None:
    """Name the version; None where the model has no such alias."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.exceptions import MlflowException

    _require_database(str(mlflow.get_tracking_uri()))
    name = f"stillhere-{product_name}"
    try:
        version = mlflow.MlflowClient().get_model_version_by_alias(name, alias)
    except Exception as exc:  # whatever the driver of the store raises, SQLAlchemy's or the system's: the local copy serves
        code = exc.error_code if isinstance(exc, MlflowException) else ""
        if code == _NO_ALIAS:
            return None
        if code == _NO_MODEL:
            raise UnknownModelError(name) from exc
        raise RegistryError(f"MLflow at {mlflow.get_tracking_uri()} could not name the {alias} of {name}: {exc}") from exc
    return Champion(name=name, version=str(version.version), run_id=str(version.run_id or version.source))


def _require_database(uri: str) -> None:
    """Asking a SQLite store that is not there would make one; its schema is training's to make, under a lock."""
    path = Path(uri.removeprefix(_SQLITE))
    if uri.startswith(_SQLITE) and not path.is_file():
        raise RegistryError(f"MLflow's database {path} is not there; train a model first, or set MLFLOW_TRACKING_URI")


def database_identity(uri: str) -> tuple[int, int] | None:
    """Device and inode of a SQLite store; None where there is none, or the store is no file.

    A connection that is open goes on with a file that was removed, and knows nothing of the one that took its place.
    """
    try:
        found = Path(uri.removeprefix(_SQLITE)).stat() if uri.startswith(_SQLITE) else None
    except OSError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)


def newest_local(cache_dir: Path) -> Path | None:
    """Last verified local bundle: the one in ``current.json``, else the highest version that verifies; None if there is none."""
    for folder in _candidates(cache_dir):
        try:
            verify_bundle(folder)
        except ModelError:
            continue
        return folder
    return None


def pointed_at(pointer: Path) -> Path | None:
    """Folder of the bundle that a file of `POINTERS` names, verified or not; None where it says that there is none.

    Raises
    ------
    OSError, ValueError
        If there is no such file, or it was damaged.
    """
    try:
        folder = json.loads(pointer.read_text())["folder"]
    except (TypeError, LookupError) as exc:
        raise ValueError(f'{pointer} holds no {{"version": ..., "folder": ...}}; remove it') from exc
    return None if folder is None else pointer.parent / Path(str(folder)).name


def versions_here(cache_dir: Path) -> list[Path]:
    """Folders of all versions, verified or not, highest first."""
    versions = [path for path in cache_dir.glob("*") if path.is_dir() and path.name.isdigit()]
    return sorted(versions, key=lambda path: -int(path.name))


def _candidates(cache_dir: Path) -> list[Path]:
    try:
        named = pointed_at(cache_dir / CURRENT)
    except (OSError, ValueError):  # there is none, or it was damaged: the newest whole copy serves
        return versions_here(cache_dir)
    return [] if named is None else [named, *versions_here(cache_dir)]


def _fetch(champion: Champion, product_name: str, folder: Path) -> None:
    if not _is_copy(folder, champion):
        _download(champion, product_name, folder)


def _point(pointer: Path, product_name: str, version: str | None) -> None:
    """Write the file only where it says something else: whoever follows it looks at what is in it."""
    text = json.dumps({"version": None if version is None else f"{product_name}/{version}", "folder": version})
    if not pointer.is_file() or pointer.read_text() != text:
        pointer.parent.mkdir(parents=True, exist_ok=True)
        _replace_text(pointer, text)


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
        _make_way(folder)
        try:
            fetched.replace(folder)
        except OSError:
            if not _is_copy(folder, champion):  # unless another process fetched the same version meanwhile
                raise


def _make_way(folder: Path) -> None:
    """Remove a corrupt copy; put a whole one, which came from another database, aside: a receipt may name it."""
    try:
        verify_bundle(folder)
        folder.replace(folder.with_name(f"{folder.name}.before-{time.time_ns()}"))
    except ModelError:
        shutil.rmtree(folder, ignore_errors=True)


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
