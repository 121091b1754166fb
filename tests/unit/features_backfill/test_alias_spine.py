"""Training rows of people with several ids: as it could have been asked then, labelled by what the person did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.adapters.alias_log import ParquetAliasLog
from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import read_columns
from features.backfill.raw_scan import data_fingerprint, scan
from features.backfill.spine import log_spine
from features.core.alias import Alias
from features.core.event import Event
from features.core.product import Product

START = datetime(2024, 5, 1, tzinfo=UTC)


def login(day: float, user: str) -> Event:
    at = START + timedelta(days=day)
    return Event(event_id=f"{user}-{day}", user_id=user, kind="login", occurred_at=at, received_at=at)


def alias(day: float, previous_id: str = "phone", user_id: str = "ada") -> Alias:
    at = START + timedelta(days=day)
    return Alias(previous_id=previous_id, user_id=user_id, occurred_at=at, received_at=at)


@pytest.fixture
def raw_dir(tmp_path: Path) -> Path:
    return tmp_path / "raw"


def labelled(raw_dir: Path, product: Product) -> list[tuple[str, float, bool]]:
    rows = log_spine(read_columns(raw_dir, product), product).to_pylist()
    return [(row["user_id"], (row["as_of"] - START) / timedelta(days=1), row["dropped_out"]) for row in rows]


def test_an_id_has_rows_until_it_is_attached_and_the_user_from_then_on(product: Product, raw_dir: Path) -> None:
    ParquetRawLog(raw_dir).append([login(0, "phone"), login(9, "phone")])
    assert labelled(raw_dir, product) == [("phone", 1.0, True), ("phone", 2.0, True), ("phone", 3.0, True)]
    ParquetAliasLog(raw_dir.with_name("aliases")).append([alias(2.5)])
    rows = [("ada", 3.5, True), ("ada", 4.5, True), ("ada", 5.5, True), ("phone", 1.0, True), ("phone", 2.0, True)]
    assert labelled(raw_dir, product) == rows


def test_who_goes_on_under_another_id_did_not_drop_out(product: Product, raw_dir: Path) -> None:
    ParquetRawLog(raw_dir).append([login(0, "phone"), login(2, "ada"), login(9, "ben")])
    ParquetAliasLog(raw_dir.with_name("aliases")).append([alias(3.5, "phone", "laptop"), alias(4.5, "laptop", "ada")])
    rows = {(user, day): dropped for user, day, dropped in labelled(raw_dir, product)}
    assert (rows["phone", 1.0], rows["phone", 2.0], rows["ada", 3.0]) == (False, True, True)


def test_a_row_of_recently_active_users_needs_activity_that_could_be_seen(product: Product, raw_dir: Path) -> None:
    rule = replace(product.label.spine, active_within=timedelta(days=1))
    active = replace(product, label=replace(product.label, spine=rule))
    ParquetRawLog(raw_dir).append([login(0, "ada"), login(1.5, "phone"), login(9, "ben")])
    ParquetAliasLog(raw_dir.with_name("aliases")).append([alias(6)])
    assert [row for row in labelled(raw_dir, active) if row[0] == "ada"] == []


def test_aliases_change_the_fingerprint_of_the_data_and_not_the_raw_log(product: Product, raw_dir: Path) -> None:
    ParquetRawLog(raw_dir).append([login(0, "phone"), login(1, "ada")])
    before, rows = data_fingerprint(raw_dir), scan(raw_dir).num_rows
    log = ParquetAliasLog(raw_dir.with_name("aliases"))
    log.append([alias(3)])
    once = data_fingerprint(raw_dir)
    log.append([alias(3), alias(5)])
    assert (before != once, data_fingerprint(raw_dir) == once, scan(raw_dir).num_rows) == (True, True, rows)


def test_a_log_of_aliases_that_contradicts_itself_is_read_by_the_first_alias_of_each_id(product: Product, raw_dir: Path) -> None:
    ParquetRawLog(raw_dir).append([login(0, "phone")])
    ParquetAliasLog(raw_dir.with_name("aliases")).append([alias(4, "phone", "ben"), alias(3, "phone", "ada")])
    raw = read_columns(raw_dir, product)
    assert sorted(raw.user_ids[raw.columns.user].tolist()) == ["ada", "phone"]


def test_aliases_in_a_circle_do_not_count_and_others_do(product: Product, raw_dir: Path) -> None:
    ParquetRawLog(raw_dir).append([login(0, "phone"), login(1, "ada"), login(9, "tablet")])
    circle = [alias(1, "ada", "ben"), alias(2, "ben", "eve"), alias(3, "eve", "ada")]
    ParquetAliasLog(raw_dir.with_name("aliases")).append([*circle, alias(4, "phone", "ada"), alias(5, "tablet", "zoe")])
    raw = read_columns(raw_dir, product)
    held = sorted(raw.user_ids[raw.columns.user[raw.is_attached]].tolist())
    assert held == ["ada", "zoe"]
    assert len(labelled(raw_dir, product)) > 0
