"""What a product is in Feast: entity, views, on-demand view and feature services, made from its declarations."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from feast import Entity, FeatureService, FeatureView, Field, FileSource, Project, RequestSource
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.types import Bool, Bytes, Float64, Int64, PrimitiveFeastType, String, UnixTimestamp
from feast.value_type import ValueType

from features.adapters.behaviour import AS_OF, BEHAVIOUR_VIEW, behaviour_function, behaviour_source
from features.adapters.feast_online_store import PACKED, PROFILE_VIEW, TIMELINE_VIEW, USER_ID
from features.adapters.profile_history import write_parquet
from features.core.catalogue import Catalogue, Feature
from features.core.product import AttributeType, Product
from features.home import Home

SNAPSHOTS_VIEW = "snapshots"
EVENT_TIMESTAMP = "event_timestamp"
SNAPSHOT_AS_OF = "snapshot_as_of"
FEATURE_FINGERPRINT = "feature_fingerprint"
SERVING_SERVICE = "serving"

_SNAPSHOT_TTL = timedelta(seconds=1)
"""A snapshot is good for its own instant only; this spares the join every older one. `historical` checks the instant exactly."""
_INSTANT = pa.timestamp("us", tz="UTC")
_FEAST_TYPES: dict[AttributeType, PrimitiveFeastType] = {
    AttributeType.CATEGORY: String,
    AttributeType.TEXT: String,
    AttributeType.INSTANT: String,  # ISO 8601: Feast's own timestamps are cut to whole seconds online
    AttributeType.NUMBER: Float64,
    AttributeType.BOOLEAN: Bool,
}
ARROW_TYPES: dict[PrimitiveFeastType, pa.DataType] = {String: pa.string(), Float64: pa.float64(), Bool: pa.bool_()}


class _DeclaredView(OnDemandFeatureView):  # type: ignore[misc]
    """An on-demand view whose schema is declared in full; Feast would otherwise call its function with made-up bytes to see what comes."""

    def infer_features(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeastObjects:
    """Everything that one product registers with Feast."""

    project: Project
    user: Entity
    timeline: FeatureView
    profile: FeatureView | None  # None: the product declares no profile attributes
    as_of: RequestSource
    behaviour: OnDemandFeatureView
    snapshots: FeatureView
    serving: FeatureService
    training: FeatureService

    def all(self) -> list[Any]:
        """In the order in which Feast wants them."""
        return [value for field in fields(self) if (value := getattr(self, field.name)) is not None]


def training_service_name(feature_fingerprint: str) -> str:
    """Name of the feature service that a model trained on this catalogue names.

    Examples
    --------
    >>> training_service_name("0123456789abcdef")
    'training_0123456789abcdef'
    """
    return f"training_{feature_fingerprint}"


def declare(product: Product, home: Home) -> FeastObjects:
    """A product's Feast objects; pure, touches neither files nor registry.

    ``timeline`` is not marked for materialisation: its bytes are live, and only merging may write them (see `TimelineOnlineStore`).
    ``behaviour`` reads it and an ``as_of_us`` given with each request. ``snapshots`` and ``profile`` are joined as of each training row.
    """
    user = Entity(name="user", join_keys=[USER_ID], value_type=ValueType.STRING, description="A person who uses the product.")
    timeline = FeatureView(
        name=TIMELINE_VIEW,
        entities=[user],
        schema=[Field(name=PACKED, dtype=Bytes, description="The user's events, packed; see features.core.timeline.")],
        online=False,
        description="The live timeline. Written by merging alone.",
    )
    as_of = RequestSource(
        name="as_of", schema=[Field(name=AS_OF, dtype=Int64, description="The instant to compute for, in microseconds since 1970 (UTC).")]
    )
    profile = _profile_view(product, home, user)
    snapshots = _snapshots_view(product, home, user)
    known = [profile] if profile is not None else []
    return FeastObjects(
        project=Project(name=product.name, description=product.description),
        user=user,
        timeline=timeline,
        profile=profile,
        as_of=as_of,
        behaviour=_behaviour_view(product.catalogue, timeline, as_of),
        snapshots=snapshots,
        serving=FeatureService(name=SERVING_SERVICE, features=[timeline, *known], description="What one decision reads."),
        training=FeatureService(
            name=training_service_name(product.catalogue.fingerprint),
            features=[snapshots, *known],
            description="What one training row joins.",
        ),
    )


def _behaviour_view(catalogue: Catalogue, timeline: FeatureView, as_of: RequestSource) -> OnDemandFeatureView:
    return _DeclaredView(
        name=BEHAVIOUR_VIEW,
        sources=[timeline, as_of],
        schema=[_field(feature) for feature in catalogue.features],
        mode="python",
        udf=behaviour_function(catalogue),
        udf_string=behaviour_source(catalogue),
        # Feast forgets what an on-demand view's fields mean when it reads its registry; the fields of the snapshots keep it.
        description="Every named feature of a live timeline at as_of_us; null where undefined. What each means: see snapshots.",
        tags={FEATURE_FINGERPRINT: catalogue.fingerprint},
    )


def _field(feature: Feature) -> Field:
    tags = {"cause": feature.cause, "unit": feature.unit, "direction": feature.direction.value}
    return Field(name=feature.name, dtype=Float64, description=feature.description, tags=tags)


def _profile_view(product: Product, home: Home, user: Entity) -> FeatureView | None:
    if not product.profile:
        return None
    return FeatureView(
        name=PROFILE_VIEW,
        entities=[user],
        schema=[Field(name=a.name, dtype=_FEAST_TYPES[a.type], description=a.description) for a in product.profile],
        source=_parquet(home.profiles_file(product.name), "profile_history"),
        description="Slowly changing attributes; a row per change, holding all attributes as of then.",
    )


def _snapshots_view(product: Product, home: Home, user: Entity) -> FeatureView:
    marks = [
        Field(name=SNAPSHOT_AS_OF, dtype=UnixTimestamp, description="The as_of that this row was computed for."),
        Field(name=FEATURE_FINGERPRINT, dtype=String, description="Fingerprint of the catalogue that computed it."),
    ]
    named = [_field(feature) for feature in product.catalogue.features]
    return FeatureView(
        name=SNAPSHOTS_VIEW,
        entities=[user],
        schema=marks + named,
        source=_parquet(home.snapshots_file(product.name), "snapshots"),
        ttl=_SNAPSHOT_TTL,
        online=False,
        description="Features computed from the raw log at past instants, for training.",
    )


def _parquet(path: Path, name: str) -> FileSource:
    return FileSource(name=name, path=str(path.absolute()), timestamp_field=EVENT_TIMESTAMP)


def snapshots_schema(catalogue: Catalogue) -> pa.Schema:
    """Columns of the snapshots file.

    Examples
    --------
    >>> snapshots_schema(Catalogue(kinds=(), features=())).names
    ['user_id', 'event_timestamp', 'snapshot_as_of', 'feature_fingerprint']
    """
    marks = [(USER_ID, pa.string()), (EVENT_TIMESTAMP, _INSTANT), (SNAPSHOT_AS_OF, _INSTANT), (FEATURE_FINGERPRINT, pa.string())]
    return pa.schema(marks + [(name, pa.float64()) for name in catalogue.feature_names])


def profiles_schema(product: Product) -> pa.Schema:
    """Columns of the profile history file: the user, when the profile changed, and every attribute as of then."""
    attributes = [(attribute.name, ARROW_TYPES[_FEAST_TYPES[attribute.type]]) for attribute in product.profile]
    return pa.schema([(USER_ID, pa.string()), (EVENT_TIMESTAMP, _INSTANT), *attributes])


def ensure_offline_files(product: Product, home: Home) -> None:
    """Make the offline files, empty, where they are missing: Feast warns of a source that is not there, and joins fail on it."""
    home.feast_dir(product.name).mkdir(parents=True, exist_ok=True)
    files = {
        home.snapshots_file(product.name): snapshots_schema(product.catalogue),
        home.profiles_file(product.name): profiles_schema(product),
    }
    for path, schema in files.items():
        if not path.exists():
            write_parquet(schema.empty_table(), path)
