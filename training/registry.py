"""What the model registry holds: versions, aliases, and the bundle behind each; nothing here changes it."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from features.core.product import Product
from models.bundle import Bundle, load_bundle
from models.errors import ModelError
from models.segments import SegmentModel
from training.errors import RegistryError, UnknownVersionError

CHAMPION, CHALLENGER, SHADOW, PREVIOUS = "champion", "challenger", "shadow", "previous"
"""Aliases: what is served; what was trained since; what scores without deciding; where a rollback would lead (for people to see)."""

REPLACES = "stillhere.replaces"
"""Tag of a version: the version that a rollback from it leads to, "" if there is none."""
HISTORY = "stillhere.champions_before"
"""Tag of a version: all that rollbacks from it lead to, one after the other, newest first, as "3 2"; beginning with `REPLACES`."""


UNFINISHED = "stillhere.unfinished"
"""Tag of a version that has no place yet: the process that registers it (`training.process_mark`)."""

_REFERENCE = re.compile(r"models:/(?P<name>[^/@]+)[/@](?P<version>[^/@]+)")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version in the registry, as it was when it was looked up."""

    name: str  # "stillhere-onboarding"
    version: str  # "3"
    run_id: str  # of the run that made it; "" where none did
    tags: dict[str, str]
    created_at: datetime  # when it was registered

    @property
    def uri(self) -> str:
        """What MLflow loads it by: ``models:/stillhere-onboarding/3``."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model and where it came from."""

    label: str  # "version 3", or "run 0a1b2c"
    version: Version | None  # None for the model of a run that was not registered
    bundle: Bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """The present champion; its bundle where the present product still measures what it needs."""

    version: Version
    bundle: Bundle | None
    segments: SegmentModel | None
    unusable: str = ""  # why there is no bundle
    is_broken: bool = False  # it cannot be served either: corrupt, or the present product does not measure what it needs


def registered_name(product: str) -> str:
    """Name of a product's model in the registry.

    Examples
    --------
    >>> registered_name("onboarding")
    'stillhere-onboarding'
    """
    return f"stillhere-{product}"


@contextmanager
def registry_errors(doing: str) -> Iterator[None]:
    """Turn whatever MLflow or its store raises into a `RegistryError` that says what could not be done."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as exc:
        import mlflow

        raise RegistryError(
            f"{doing}: MLflow at {mlflow.get_tracking_uri()} answered {type(exc).__name__}: {_first_line(exc)}, expected success;"
            " check that it runs and that MLFLOW_TRACKING_URI is right, then run the command again"
        ) from exc


def version_of(name: str, reference: str) -> Version | None:
    """Find a version by its number or alias; None if there is none."""
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    with registry_errors(f"looking up {reference} of {name}"):
        try:
            found = client.get_model_version(name, reference) if reference.isdigit() else client.get_model_version_by_alias(name, reference)
        except MlflowException as exc:
            if exc.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:  # no such model or version; no such alias
                return None
            raise
    created_at = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
    return Version(name=name, version=str(found.version), run_id=str(found.run_id or ""), tags=dict(found.tags), created_at=created_at)


def require_version(product: str, reference: str) -> Version:
    """Find a version by number or alias, or by ``models:/<name>/3`` or ``models:/<name>@champion``.

    Raises
    ------
    UnknownVersionError
        If there is none, naming the versions that there are.
    """
    name = registered_name(product)
    match = _REFERENCE.fullmatch(reference)
    if match and match["name"] != name:
        raise UnknownVersionError(f"model is {reference!r}, expected one of product {product}: models:/{name}/<version or alias>")
    wanted = match["version"] if match else reference
    found = version_of(name, wanted)
    if found is None:
        known = ", ".join(known_references(name)) or "none: train a model first"
        hint = "; training makes one where a new model is not shown to be better" if wanted == CHALLENGER else ""
        raise UnknownVersionError(f"{name} has no version or alias {wanted}, expected one of {known}{hint}")
    return found


def known_references(name: str) -> list[str]:
    """Numbers and aliases of a registered model, oldest first; [] if it was never registered."""
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    try:
        aliases = client.get_registered_model(name).aliases
        versions = client.search_model_versions(f"name = '{name}'")
    except MlflowException:
        return []
    return [*sorted((str(version.version) for version in versions), key=int), *sorted(aliases)]


def load_model(product: Product, reference: str) -> Loaded:
    """Load a registered version, or the model of a run by ``runs:/<run id>``, verified and fit for the present product.

    Raises
    ------
    UnknownVersionError
        If there is no such version or run.
    models.errors.ModelError
        If a file is missing or changed, or the product no longer measures what the model needs.
    """
    if reference.startswith("runs:/"):
        run_id = reference.removeprefix("runs:/").split("/")[0]
        return Loaded(label=f"run {run_id[:8]}", version=None, bundle=fetch_bundle(f"runs:/{run_id}/model", product))
    version = require_version(product.name, reference)
    return Loaded(label=f"version {version.version}", version=version, bundle=fetch_bundle(version.uri, product))


def fetch_bundle(model_uri: str, product: Product | None) -> Bundle:
    """Download, verify and load the bundle inside a logged model."""
    import mlflow.artifacts

    with tempfile.TemporaryDirectory() as scratch:
        with registry_errors(f"fetching {model_uri}"):
            folder = mlflow.artifacts.download_artifacts(artifact_uri=f"{model_uri}/artifacts/bundle", dst_path=scratch)
        return load_bundle(Path(folder), product)


def champion_of(product: Product) -> Champion | None:
    """Load the present champion; None if there is none.

    A champion that is corrupt, that needs what the present product does not measure, or whose files cannot be fetched now comes without
    its bundle and with the reason. A registry that does not answer is an error.
    """
    version = version_of(registered_name(product.name), CHAMPION)
    if version is None:
        return None
    try:
        bundle = fetch_bundle(version.uri, product)
    except (ModelError, RegistryError) as exc:
        is_broken = isinstance(exc, ModelError)
        return Champion(version=version, bundle=None, segments=_segments_alone(version), unusable=str(exc), is_broken=is_broken)
    return Champion(version=version, bundle=bundle, segments=bundle.segment_model)


def _segments_alone(version: Version) -> SegmentModel | None:
    """Learned segments of a champion that cannot be loaded as a whole: their ids are still worth keeping."""
    import mlflow.artifacts

    try:
        with registry_errors("reading the champion's segments"):
            content = json.loads(mlflow.artifacts.load_text(f"{version.uri}/artifacts/bundle/segments.json"))
        return SegmentModel.from_json(content, content["feature_names"])
    except (RegistryError, OSError, ValueError, KeyError, TypeError) as exc:
        _log.info("no earlier segments to keep the ids of: %s", exc)
        return None


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or ["no reason given"])[0]


def describe_aliases(name: str) -> dict[str, str]:
    """Version by alias, for people and for tests."""
    import mlflow

    model: Any = mlflow.MlflowClient().get_registered_model(name)
    return {alias: str(version) for alias, version in sorted(model.aliases.items())}
