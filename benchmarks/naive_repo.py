"""The naive service's feature repository: today's features of some users, flat, in the same Redis."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float64
from feast.value_type import ValueType

from features.core.kernel import vectors

if TYPE_CHECKING:
    from serving.bootstrap import Installation

YAML = """
project: naive
provider: local
registry: {{path: {registry}, cache_ttl_seconds: 0}}
online_store: {{type: redis, connection_string: "{address}"}}
offline_store: {{type: file}}
entity_key_serialization_version: 3
"""


def write_naive_repo(opened: Installation, user_ids: list[str], folder: Path) -> None:
    """Declare the view ``flat``, one Float64 a feature, and write each user's vector as of now."""
    folder.mkdir(parents=True, exist_ok=True)
    address = opened.redis_url.removeprefix("redis://").removesuffix("/0")
    (folder / "registry.db").unlink(missing_ok=True)
    (folder / "feature_store.yaml").write_text(YAML.format(registry=folder / "registry.db", address=address))
    frame = _vectors_now(opened, user_ids)
    frame.to_parquet(folder / "flat.parquet")
    source = FileSource(path=str(folder / "flat.parquet"), timestamp_field="event_timestamp")
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    schema = [Field(name=name, dtype=Float64) for name in opened.product.catalogue.feature_names]
    store = FeatureStore(repo_path=str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store.apply([user, FeatureView(name="flat", entities=[user], ttl=timedelta(0), schema=schema, source=source, online=True)])
        store.write_to_online_store("flat", frame)


def _vectors_now(opened: Installation, user_ids: list[str]) -> pd.DataFrame:
    now = datetime.now(UTC)
    packed = [stored.packed for stored in opened.timelines.read(user_ids)]
    as_of_us = np.full(len(user_ids), int(now.timestamp() * 1_000_000), dtype=np.int64)
    frame = pd.DataFrame(vectors(packed, as_of_us, opened.program), columns=list(opened.product.catalogue.feature_names))
    return frame.assign(user_id=user_ids, event_timestamp=pd.Timestamp(now))
