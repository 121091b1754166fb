from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import RawColumns, columns_from_table, read_columns
from features.core.columns import EventColumns, columns_from_events
from features.core.event import Event
from features.core.product import Product
from features.ingest.event_table import event_table


def rows(columns: EventColumns, user_ids: list[str]) -> list[tuple[object, ...]]:
    arrays = [getattr(columns, field.name).tolist() for field in dataclasses.fields(EventColumns)]
    return [(user_ids[row[0]], *row[1:]) for row in zip(*arrays, strict=True)]


def test_columns_of_a_table_are_the_columns_of_its_events(product: Product, history: list[Event]) -> None:
    raw = columns_from_table(event_table(history), product.catalogue.kinds)
    expected, user_ids = columns_from_events(history, product.catalogue.kinds)
    assert rows(raw.columns, raw.user_ids.tolist()) == rows(expected, user_ids)
    assert raw.user_ids.tolist() == ["Zoë", "ada", "bob"]


def test_the_raw_log_is_read_without_duplicates(product: Product, history: list[Event], tmp_path: Path) -> None:
    ParquetRawLog(tmp_path).append(history)
    raw = read_columns(tmp_path, product)
    expected, user_ids = columns_from_events(set(history), product.catalogue.kinds)
    assert sorted(rows(raw.columns, raw.user_ids.tolist())) == sorted(rows(expected, user_ids))


def test_events_of_kinds_no_longer_declared_are_left_out_and_their_users_too(product: Product, history: list[Event]) -> None:
    gone = [dataclasses.replace(event, kind="retired", user_id="eve") for event in history]
    raw = columns_from_table(event_table([*gone, *history[:1]]), product.catalogue.kinds)
    assert (len(raw.columns), raw.user_ids.tolist()) == (1, ["ada"])


def test_an_empty_log_has_no_users(product: Product, tmp_path: Path) -> None:
    raw: RawColumns = read_columns(tmp_path / "missing", product)
    assert (len(raw.columns), len(raw.user_ids)) == (0, 0)
    assert raw.columns.kind.dtype == np.int16
