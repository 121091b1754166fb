"""Register a logged model and point the alias ``champion`` at it: all or nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.segments import SegmentModel

CHAMPION = "champion"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A model version in the registry."""

    name: str  # "stillhere-onboarding"
    version: str  # "3"


def registered_name(product: str) -> str:
    """Name of a product's model in the registry.

    Examples
    --------
    >>> registered_name("onboarding")
    'stillhere-onboarding'
    """
    return f"stillhere-{product}"


def register_champion(product: str, model_uri: str, *, run_id: str, tags: Mapping[str, str]) -> Registration:
    """Register the model and make it champion; if any step fails, what was registered is taken back and the old champion stays.

    The alias moves last and in one step, so whoever resolves it sees the old version or the new one.
    """
    import mlflow

    client = mlflow.MlflowClient()
    name = registered_name(product)
    is_new = _ensure_model(client, name, product)
    version: str | None = None
    try:
        version = str(client.create_model_version(name, source=model_uri, run_id=run_id, tags=dict(tags)).version)
        client.set_registered_model_alias(name, CHAMPION, version)
    except BaseException:  # also Ctrl-C: half a registration must not stay
        _take_back(client, name, version=version, is_new=is_new)
        raise
    return Registration(name=name, version=version)


def champion_segments(product: str) -> SegmentModel | None:
    """Learned segments of the present champion; None without champion, or where it has none that can be read."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    name = registered_name(product)
    try:
        version = mlflow.MlflowClient().get_model_version_by_alias(name, CHAMPION).version
        content = json.loads(mlflow.artifacts.load_text(f"models:/{name}/{version}/artifacts/bundle/segments.json"))
        return SegmentModel.from_json(content, content["feature_names"])
    except (MlflowException, OSError, ValueError, KeyError, TypeError) as exc:
        _log.info("no earlier segments to keep the ids of: %s", exc)
        return None


def _ensure_model(client: Any, name: str, product: str) -> bool:
    """Make the registered model; False if it was there."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=f"Risk of dropout, product {product}. The alias {CHAMPION} is what is served.")
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return False
    return True


def _take_back(client: Any, name: str, *, version: str | None, is_new: bool) -> None:
    if version is not None:
        client.delete_model_version(name, version)
    if is_new:
        client.delete_registered_model(name)
