from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

from features.backfill.columns import RawColumns, columns_from_table
from features.backfill.spine import SPINE_SCHEMA, activity_of, end_of_data_us, first_last_us, log_spine, read_labels
from features.core.event import Event, from_us, to_us
from features.core.product import Product
from features.declarations.log import FileFormat, FileSyntax, LabelsLog, TimeColumn
from features.ingest.event_table import event_table
from features.ingest.label_rows import StatedLabel, store_labels

START = datetime(2024, 5, 1, tzinfo=UTC)


def raw_of(events: list[Event], product: Product) -> RawColumns:
    return columns_from_table(event_table(events), product.catalogue.kinds)


def login(day: float, *, user: str = "ada", kind: str = "login", late_days: float = 0) -> Event:
    at = START + timedelta(days=day)
    return Event(event_id=f"{user}-{day}", user_id=user, kind=kind, occurred_at=at, received_at=at + timedelta(days=late_days))


def labelled(events: list[Event], product: Product, until: float | None = None) -> list[tuple[str, float, bool]]:
    until_us = None if until is None else to_us(START + timedelta(days=until))
    table = log_spine(raw_of(events, product), product, until_us=until_us)
    assert table.schema == SPINE_SCHEMA
    assert all(row["known_at"] == row["as_of"] + product.label.horizon for row in table.to_pylist())
    return [(row["user_id"], (row["as_of"] - START) / timedelta(days=1), row["dropped_out"]) for row in table.to_pylist()]


def test_rows_follow_the_rule_and_only_mature_ones_have_a_label(product: Product) -> None:
    # Logins on days 0, 1.5 and 5; rows one to three days after the first; a row is mature two days later.
    events = [login(0), login(1.5), login(5)]
    assert labelled(events, product) == [("ada", 1.0, False), ("ada", 2.0, True), ("ada", 3.0, False)]
    assert labelled(events, product, until=4) == [("ada", 1.0, False), ("ada", 2.0, True)]


def test_the_first_event_of_any_kind_starts_the_rows_but_only_activity_counts_as_activity(product: Product) -> None:
    events = [login(0, kind="purchase"), login(2.5, kind="purchase"), login(6)]
    assert labelled(events, product) == [("ada", 1.0, True), ("ada", 2.0, True), ("ada", 3.0, True)]
    assert len(activity_of(raw_of(events, product), product).user) == 1


def test_an_active_within_rule_keeps_rows_of_active_users_only(product: Product) -> None:
    rule = dataclasses.replace(product.label.spine, active_within=timedelta(days=1))
    active = dataclasses.replace(product, label=dataclasses.replace(product.label, spine=rule))
    assert labelled([login(0.5), login(3), login(9)], active) == [("ada", 3.5, True)]


def test_first_and_last_are_by_effective_time_and_the_data_end_when_the_last_event_became_known(product: Product) -> None:
    ahead = dataclasses.replace(login(2), received_at=START + timedelta(days=2, minutes=-3))
    raw = raw_of([login(1), ahead, login(0, user="bob", late_days=4)], product)
    first, last = first_last_us(raw)
    assert [from_us(int(us)) for us in first] == [START + timedelta(days=1), START]
    assert from_us(int(last[0])) == START + timedelta(days=2, minutes=-3)
    assert from_us(end_of_data_us(raw)) == START + timedelta(days=4)


def test_an_empty_log_has_an_empty_spine(product: Product) -> None:
    assert labelled([], product) == []
    assert end_of_data_us(raw_of([], product)) == 0


def test_labels_stated_in_a_file_are_a_spine_of_their_own(tmp_path: Path) -> None:
    log = LabelsLog(
        name="truth",
        syntax=FileSyntax(format=FileFormat.CSV),
        user_id="user",
        start=TimeColumn(column="start"),
        label="label",
        dropped_out_values=("1",),
        stayed_values=("0",),
    )
    assert read_labels(log, tmp_path).schema == SPINE_SCHEMA
    assert read_labels(log, tmp_path).num_rows == 0
    stated = StatedLabel(user_id="ada", as_of=START, dropped_out=True, known_at=START + timedelta(days=10))
    store_labels([stated], tmp_path / "truth.parquet")
    table = read_labels(log, tmp_path)
    assert table.schema == SPINE_SCHEMA
    assert table.to_pylist() == [dataclasses.asdict(stated)]
