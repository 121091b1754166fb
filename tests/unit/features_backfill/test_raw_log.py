from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.adapters.raw_log import MemoryRawLog, ParquetRawLog
from features.backfill.raw_scan import data_fingerprint, open_raw_log, scan
from features.core.event import Event, event_hash
from features.ingest.event_table import SCHEMA, event_table
from features.ports import RawLog, StoreError

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
MAKERS: list[Callable[[Path], ParquetRawLog | MemoryRawLog]] = [ParquetRawLog, lambda _folder: MemoryRawLog()]


def login(number: int, received_at: datetime = NOON, user_id: str = "ada") -> Event:
    return Event(event_id=f"e{number}", user_id=user_id, kind="login", occurred_at=NOON, received_at=received_at)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("maker", MAKERS, ids=["parquet", "memory"])
def test_each_event_is_read_once_as_it_was_first_known(maker: Callable[[Path], ParquetRawLog | MemoryRawLog], tmp_path: Path) -> None:
    log = maker(tmp_path)
    port: RawLog = log
    later = NOON + timedelta(days=2)
    port.append([login(1, later), login(2), login(1, NOON), login(1, later)])
    port.append([login(2, later), login(1, user_id="bob")])
    log.append_table(event_table([login(3)]))
    table = log.scan()
    assert table.schema == SCHEMA
    read = sorted((row["user_id"], row["event_id"], row["received_at"]) for row in table.to_pylist())
    assert read == [("ada", "e1", NOON), ("ada", "e2", NOON), ("ada", "e3", NOON), ("bob", "e1", NOON)]


@pytest.mark.parametrize("maker", MAKERS, ids=["parquet", "memory"])
def test_events_come_back_exactly_and_in_full(
    maker: Callable[[Path], ParquetRawLog | MemoryRawLog], tmp_path: Path, history: list[Event]
) -> None:
    log = maker(tmp_path)
    log.append(history)
    stored = log.scan()
    assert stored["event_hash"].to_pylist() == [event_hash(Event(**row)) for row in stored.drop_columns(HASHES).to_pylist()]
    assert {Event(**row) for row in stored.drop_columns(HASHES).to_pylist()} == set(history)


HASHES = ["event_hash", "subject_hash", "session_hash"]


@pytest.mark.parametrize("maker", MAKERS, ids=["parquet", "memory"])
def test_an_empty_log_has_no_rows_but_all_columns(maker: Callable[[Path], ParquetRawLog | MemoryRawLog], tmp_path: Path) -> None:
    log = maker(tmp_path / "raw")
    assert (log.scan().num_rows, log.scan().schema) == (0, SCHEMA)
    log.append([])
    assert (log.scan().num_rows, log.scan().schema) == (0, SCHEMA)


def test_parts_are_laid_out_by_the_utc_day_of_arrival(tmp_path: Path) -> None:
    before_midnight = datetime(2024, 5, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    ParquetRawLog(tmp_path).append([login(1, before_midnight + timedelta(microseconds=1)), login(2, before_midnight), login(3)])
    days = {path.split("/")[0]: pq.read_table(tmp_path / path)["event_id"].to_pylist() for path in files(tmp_path)}
    assert days == {"day=2024-05-01": ["e2", "e3"], "day=2024-05-02": ["e1"]}


def test_the_same_batch_again_is_the_same_file(tmp_path: Path) -> None:
    log = ParquetRawLog(tmp_path)
    log.append([login(1), login(2)])
    first = files(tmp_path)
    log.append([login(1), login(2)])
    assert files(tmp_path) == first
    log.append([login(3)])
    assert len(files(tmp_path)) == 2


def test_what_a_crash_left_half_written_is_not_read(tmp_path: Path) -> None:
    log = ParquetRawLog(tmp_path)
    log.append([login(1)])
    (tmp_path / "day=2024-05-01" / ".part-0123.parquet.77").write_bytes(b"half")
    assert log.scan().num_rows == 1


def test_a_folder_that_cannot_be_written_is_a_store_error_that_says_what_to_do(tmp_path: Path) -> None:
    blocked = tmp_path / "raw"
    blocked.write_text("a file, not a folder")
    with pytest.raises(StoreError, match="check free space and permissions"):
        ParquetRawLog(blocked).append([login(1)])


def test_duckdb_and_pandas_read_the_log_without_our_code(tmp_path: Path, history: list[Event]) -> None:
    ParquetRawLog(tmp_path).append(history)
    glob = f"{tmp_path}/day=*/part-*.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.sql(f"SELECT event_id, kind, occurred_at, value FROM read_parquet('{glob}')").to_arrow_table()
    assert len(rows) == len(history)
    assert set(rows["occurred_at"].to_pylist()) == {event.occurred_at for event in history}
    frame = pd.read_parquet(tmp_path)
    assert sorted(frame["event_id"]) == sorted(event.event_id for event in history)
    assert str(frame["received_at"].dtype) == "datetime64[us, UTC]"
    assert frame["value"].sum() == sum(event.value or 0 for event in history)


def test_a_user_id_with_quotes_and_globs_in_the_folder_name_is_read(tmp_path: Path) -> None:
    log = ParquetRawLog(tmp_path / "it's [odd] *?")
    log.append([login(1, user_id="o'hara; DROP TABLE events")])
    assert log.scan()["user_id"].to_pylist() == ["o'hara; DROP TABLE events"]


def test_the_fingerprint_does_not_see_order_duplicates_or_files(tmp_path: Path, history: list[Event]) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    ParquetRawLog(one).append(history)
    for event in reversed(history):
        ParquetRawLog(other).append([event])
    assert data_fingerprint(one) == data_fingerprint(other)
    assert len(data_fingerprint(one)) == 64


def test_the_fingerprint_sees_every_change_that_matters(tmp_path: Path) -> None:
    changed = [
        [],
        [login(1)],
        [login(2)],
        [login(1), login(2)],
        [login(1, user_id="bob")],
        [login(1, NOON + timedelta(microseconds=1))],
        [dataclasses.replace(login(1), kind="logout")],
        [dataclasses.replace(login(1), occurred_at=NOON - timedelta(microseconds=1))],
        [dataclasses.replace(login(1), value=1)],
        [dataclasses.replace(login(1), session_id="s")],
    ]
    prints = set()
    for number, events in enumerate(changed):
        folder = tmp_path / str(number)
        ParquetRawLog(folder).append(events)
        prints.add(data_fingerprint(folder))
    assert len(prints) == len(changed)


def test_instants_are_utc_whatever_the_machine_thinks(tmp_path: Path) -> None:
    ParquetRawLog(tmp_path).append([login(1)])
    with open_raw_log(tmp_path) as connection:
        row = connection.execute("SELECT CAST(occurred_at AS VARCHAR), epoch_us(occurred_at) FROM events").fetchone()
    assert row == ("2024-05-01 12:00:00+00", int(NOON.timestamp() * 1_000_000))
    assert scan(tmp_path)["occurred_at"].to_pylist() == [NOON]
