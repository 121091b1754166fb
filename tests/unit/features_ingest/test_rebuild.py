from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.adapters.alias_log import ParquetAliasLog
from features.adapters.memory import MemoryTimelineStore
from features.adapters.memory_identities import MemoryIdentityStore
from features.adapters.raw_log import ParquetRawLog
from features.backfill.snapshots import build_snapshots
from features.core.alias import Alias
from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.event import Event, to_us
from features.core.kernel import vectors
from features.core.product import Product
from features.core.program import compile_program
from features.core.timeline import pack, timeline_from_events
from features.ingest.merge_batch import merge_events
from features.ingest.rebuild import rebuild
from features.ingest.unified import UnifiedTimelineStore
from features.ports import StoredTimeline, UnreadableUsersError

START = datetime(2024, 5, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=1)


def login(number: int, user_id: str = "ada") -> Event:
    at = START + timedelta(minutes=number)
    return Event(event_id=f"e{number}", user_id=user_id, kind="login", occurred_at=at, received_at=at)


def keeping(product: Product, keep: int) -> Product:
    count = Feature(aggregation=Aggregation.COUNT, of="login", kinds=("login",))
    return replace(product, catalogue=Catalogue(kinds=(Kind(name="login", keep=keep, keep_first=0),), features=(count,)))


def store_of(product: Product) -> MemoryTimelineStore:
    return MemoryTimelineStore(kinds=product.catalogue.kinds, clock_us=lambda: 1)


def ignored(_done: int, _total: int) -> None:
    """Progress that nobody watches."""


def test_bytes_that_cannot_be_read_are_replaced_by_what_the_log_says(product: Product, tmp_path: Path) -> None:
    events = [login(number, user_id) for user_id in ("ada", "bob") for number in range(4)]
    ParquetRawLog(tmp_path).append(events)
    store = store_of(product)
    merge_events(events, product, store)
    whole = store.read(["ada", "bob"])
    store._rows["ada"] = StoredTimeline(packed=b"rubbish", version_us=1)
    with pytest.raises(UnreadableUsersError):
        merge_events([login(1)], product, store)
    for _ in range(2):
        rebuild(tmp_path, product, store, ignored)
        assert [row.packed for row in store.read(["ada", "bob"])] == [row.packed for row in whole]


def test_only_the_users_named_are_rebuilt_and_who_is_not_in_the_log_is_told(product: Product, tmp_path: Path) -> None:
    ParquetRawLog(tmp_path).append([login(1), login(1, "bob"), login(2, "it's")])
    store = store_of(product)
    done: list[tuple[int, int]] = []
    raw = rebuild(tmp_path, product, store, lambda *progress: done.append(progress), ["it's", "stranger", "bob"])
    assert (raw.user_ids.tolist(), done) == (["bob", "it's"], [(2, 2)])
    assert [bool(row.packed) for row in store.read(["ada", "bob", "it's", "stranger"])] == [False, True, True, False]


def test_whoever_holds_the_events_of_an_id_gets_them_back_and_whom_only_an_alias_names_is_left_alone(
    product: Product, tmp_path: Path
) -> None:
    raw_dir = tmp_path / "raw"
    ParquetRawLog(raw_dir).append([login(1, "phone"), login(2), login(3, "tablet")])
    links = [("phone", "laptop"), ("laptop", "ada"), ("tablet", "bob")]
    at = START + timedelta(hours=1)
    aliases = [Alias(previous_id=previous_id, user_id=user_id, occurred_at=at, received_at=at) for previous_id, user_id in links]
    ParquetAliasLog(tmp_path / "aliases").append(aliases)
    inner, identities = store_of(product), MemoryIdentityStore()
    store = UnifiedTimelineStore(inner=inner, identities=identities, kinds=product.catalogue.kinds)
    merge_events([login(1, "phone"), login(2), login(3, "tablet")], product, store)
    for alias in aliases:
        identities.claim(alias)
        store.carry(alias.previous_id)
    ids = ["phone", "laptop", "ada", "tablet", "bob"]
    whole = [row.packed for row in inner.read(ids)]
    for user_id in ("laptop", "ada", "bob"):
        inner._rows[user_id] = StoredTimeline(packed=b"rubbish", version_us=1)
    rebuild(raw_dir, product, store, ignored, ["phone"])  # not the whole of whom it stands for, so it replaces none of theirs
    rebuild(raw_dir, product, store, ignored, ["ada"])
    assert [row.packed for row in inner.read(ids)] == [whole[0], b"rubbish", whole[2], whole[3], b"rubbish"]
    rebuild(raw_dir, product, store, ignored)
    assert [row.packed for row in inner.read(ids)] == whole


def test_events_that_are_not_in_the_log_yet_stay(product: Product, tmp_path: Path) -> None:
    ParquetRawLog(tmp_path).append([login(1)])
    store = store_of(product)
    merge_events([login(2)], product, store)
    rebuild(tmp_path, product, store, ignored)
    assert store.read(["ada"])[0].packed == pack(timeline_from_events([login(1), login(2)], product.catalogue.kinds))


def test_after_keep_was_raised_a_rebuild_makes_serving_count_what_training_counts(product: Product, tmp_path: Path) -> None:
    events, narrow, wide = [login(number) for number in range(6)], keeping(product, 2), keeping(product, 8)
    ParquetRawLog(tmp_path).append(events)
    store = store_of(narrow)
    merge_events(events, narrow, store)
    store._kinds = wide.catalogue.kinds

    def served() -> float:
        row = store.read(["ada"])[0].packed
        return float(vectors([row], np.array([to_us(AS_OF)], np.int64), compile_program(wide.catalogue))[0, 0])

    spine = pa.table({"user_id": ["ada"], "as_of": pa.array([AS_OF], pa.timestamp("us", tz="UTC"))})
    trained = build_snapshots(tmp_path, wide, spine)[wide.catalogue.feature_names[0]][0].as_py()
    assert (served(), trained) == (2.0, 6.0)
    rebuild(tmp_path, wide, store, ignored)
    assert served() == trained
