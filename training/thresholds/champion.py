"""The champion as it serves, and the rows that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.core.event import to_us
from features.core.product import Product
from models.bundle import Bundle
from training.frame import TrainingFrame
from training.registry import CHAMPION, champion_of, registered_name
from training.thresholds.errors import NoChampionError, TooFewRowsError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingChampion:
    """A champion that can be served, and what it was made from."""

    bundle: Bundle
    version: str  # "3"
    run_id: str
    created_at: datetime  # when the version was registered
    unseen_from: datetime  # rows from here on were in none of the slices that it was fitted, stopped or calibrated on


def load_champion(product: Product) -> ServingChampion:
    """Fetch the product's champion from the registry.

    Raises
    ------
    NoChampionError
        If there is none, its bundle is broken, its features mean something else now, or it does not say what it was trained on.
    """
    name, found = registered_name(product.name), champion_of(product)
    if found is None:
        raise NoChampionError(
            f"product {product.name} has no champion in MLflow, expected the alias {CHAMPION} of {name}; train one first:"
            " mlflow run . -e train"
        )
    if found.bundle is None:
        raise NoChampionError(f"the champion of {name}, version {found.version.version}, cannot be used: {found.unusable}")
    return ServingChampion(
        bundle=found.bundle,
        version=found.version.version,
        run_id=found.version.run_id,
        created_at=found.version.created_at,
        unseen_from=_unseen_from(found.bundle, name),
    )


def unseen(frame: TrainingFrame, champion: ServingChampion) -> TrainingFrame:
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
