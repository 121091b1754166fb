from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import MemoryRawLog
from features.core.catalogue import Catalogue, Kind
from features.core.product import Attribute, AttributeType, Label, Product
from features.ingest.import_log import ImportTarget

KINDS = (Kind(name="login"), Kind(name="purchase", value_unit="cents"), Kind(name="page_view", subject="page"))


@pytest.fixture(scope="session")
def product() -> Product:
    """One kind with nothing, one with a value, one with a subject; an attribute of each type."""
    attributes = (
        Attribute(name="plan", type=AttributeType.CATEGORY),
        Attribute(name="seats", type=AttributeType.NUMBER),
        Attribute(name="consent", type=AttributeType.BOOLEAN),
        Attribute(name="timezone", type=AttributeType.TEXT),
    )
    label = Label(activity=("login",), horizon=timedelta(days=30))
    return Product(name="shop", description="", catalogue=Catalogue(kinds=KINDS, features=()), causes=(), label=label, profile=attributes)


@pytest.fixture
def noon() -> datetime:
    return datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def target(tmp_path: Path) -> ImportTarget:
    """An import target in memory, except for files of labels and refusals."""
    return ImportTarget(
        raw_log=MemoryRawLog(),
        timelines=MemoryTimelineStore(kinds=KINDS, clock_us=lambda: 1),
        profiles=MemoryProfileStore(),
        labels_dir=tmp_path / "labels",
        rejected_dir=tmp_path / "rejected",
    )
