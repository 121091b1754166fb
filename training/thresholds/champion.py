"""The champion as it serves, and the rows that it has not seen."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from features.core.event import to_us
from features.core.product import Product
from models.bundle import Bundle, load_bundle
from models.errors import ModelError
from training.frame import TrainingFrame
from training.registry import CHAMPION, registered_name
from training.thresholds.errors import NoChampionError, TooFewRowsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """A loaded model version."""

    bundle: Bundle
    version: str  # "3"
    run_id: str
    created_at: datetime  # when the version was registered
    unseen_from: datetime  # rows from here on were in none of the slices that it was fitted, stopped or calibrated on


def load_champion(product: Product) -> Champion:
    """Fetch the product's champion from the registry.

    Raises
    ------
    NoChampionError
        If there is none, its bundle is broken, its features mean something else now, or it does not say what it was trained on.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    name = registered_name(product.name)
    try:
        found = mlflow.MlflowClient().get_model_version_by_alias(name, CHAMPION)
        with tempfile.TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts(f"models:/{name}/{found.version}/artifacts/bundle", dst_path=folder)
            bundle = load_bundle(Path(path), product)
    except ModelError as exc:
        raise NoChampionError(f"the champion of {name}, version {found.version}, cannot be used: {exc}") from exc
    except MlflowException as exc:
        raise NoChampionError(
            f"product {product.name} has no champion in MLflow ({str(exc).splitlines()[0]}), expected the alias {CHAMPION} of {name};"
            " train one first: mlflow run . -e train"
        ) from exc
    return Champion(
        bundle=bundle,
        version=str(found.version),
        run_id=str(found.run_id or ""),
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        unseen_from=_unseen_from(bundle, name),
    )


def unseen(frame: TrainingFrame, champion: Champion) -> TrainingFrame:
    """Rows that the champion has not seen.

    Raises
    ------
    TooFewRowsError
        If there are none.
    """
    positions = np.flatnonzero(frame.as_of_us >= to_us(champion.unseen_from))
    if len(positions) == 0:
        raise TooFewRowsError(
            f"no row with a known outcome lies at or after {champion.unseen_from.isoformat(timespec='minutes')}, from when on the champion"
            " has seen none, expected some; import the log that it was trained on, or a later one"
        )
    return frame.at(positions)


def _unseen_from(bundle: Bundle, name: str) -> datetime:
    try:
        return datetime.fromisoformat(bundle.about["slices"]["test"]["from"])
    except (KeyError, TypeError, ValueError) as exc:
        raise NoChampionError(
            f"the champion of {name} does not say where its test slice begins (about.slices.test.from), expected it; train it again"
        ) from exc
