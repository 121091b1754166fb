"""Raw events kept for training and analysis (S1.04), deduplicated and normalised (S2.09), at any moment of a compaction."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.adapters import compaction
from features.adapters.compaction import compact
from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import ParquetRawLog
from features.backfill.raw_scan import data_fingerprint
from features.core.event import Event, event_hash
from features.core.product import Product
from features.declarations.log import LogDeclaration
from features.ingest.event_table import SCHEMA, event_table
from features.ingest.import_log import ImportTarget, import_file
from features.ports import StoreError

FIRST = datetime(2026, 3, 1, 9, tzinfo=UTC)
TODAY = date(2026, 3, 4)
N_EVENTS = 40
DAYS = 4  # the last one is not over


def login(number: int, *, received_at: datetime | None = None) -> Event:
    at = FIRST + timedelta(days=number % DAYS, minutes=number)
    return Event(event_id=f"e{number}", user_id=f"u{number % 7}", kind="login", occurred_at=at, received_at=received_at or at)


@pytest.fixture
def raw_dir(tmp_path: Path) -> Path:
    """Four days of small parts: every event arrives twice on its day, the second time a little later and first in the files."""
    log = ParquetRawLog(tmp_path / "raw")
    for number in range(N_EVENTS):
        event = login(number)
        log.append([replace(event, received_at=event.received_at + timedelta(minutes=1))])
        log.append([event])
    return log.raw_dir


def parts(raw_dir: Path) -> dict[str, list[str]]:
    return {day.name: sorted(part.name for part in day.iterdir()) for day in sorted(raw_dir.glob("day=*"))}


def plain_rows(raw_dir: Path) -> list[tuple[str, str, datetime]]:
    """What DuckDB reads of the files as they lie there, nothing deduplicated."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(f"SELECT user_id, event_id, received_at FROM '{raw_dir}/day=*/*.parquet' ORDER BY ALL").fetchall()


def test_s1_04_raw_events_are_kept_by_product_and_day_and_read_without_our_code(raw_dir: Path) -> None:
    compact(raw_dir, today=TODAY)
    assert list(parts(raw_dir)) == [f"day=2026-03-0{day}" for day in (1, 2, 3, 4)]
    with duckdb.connect() as connection:
        by_day = connection.sql(
            f"SELECT day, count(DISTINCT event_id) FROM read_parquet('{raw_dir}/*/*.parquet', hive_partitioning=1) GROUP BY day ORDER BY 1"
        ).fetchall()
    assert by_day == [(date(2026, 3, day), 10) for day in (1, 2, 3, 4)]
    frame = pd.read_parquet(raw_dir)  # compact and other parts together
    assert set(frame["event_id"]) == {f"e{number}" for number in range(N_EVENTS)}
    assert str(frame["occurred_at"].dtype) == "datetime64[us, UTC]"
    assert str(frame["value"].dtype) in {"Int64", "float64", "object"}  # pandas' own way to say that there are none


def test_s1_04_compaction_changes_nothing_that_anyone_trains_on(raw_dir: Path) -> None:
    before = data_fingerprint(raw_dir)
    assert len(compact(raw_dir, today=TODAY)) == 3
    assert data_fingerprint(raw_dir) == before
    assert compact(raw_dir, today=TODAY) == []
    assert pq.read_schema(next(raw_dir.glob("day=2026-03-01/*"))) == SCHEMA


def test_s2_09_a_closed_day_holds_each_event_once_as_it_was_first_known(raw_dir: Path) -> None:
    days = compact(raw_dir, today=TODAY)
    assert [(day.day.day, day.parts, day.rows_before, day.rows_after) for day in days] == [(n, 20, 20, 10) for n in (1, 2, 3)]
    by_day = parts(raw_dir)
    assert [len(names) for names in by_day.values()] == [1, 1, 1, 20]  # today is left alone
    closed = [row for row in plain_rows(raw_dir) if row[2].date() < TODAY]
    assert closed == sorted((e.user_id, e.event_id, e.received_at) for e in map(login, range(N_EVENTS)) if e.received_at.date() < TODAY)


def test_s2_09_events_of_every_spelling_are_normalised_and_stored_once(tmp_path: Path, onboarding: Product) -> None:
    rows = [
        {"event_id": "1", "user_id": 7, "kind": "login", "occurred_at": "2026-03-01T13:00:00+01:00", "received_at": "2026-03-01T12:00:02Z"},
        {"event_id": "1", "user_id": "7", "kind": "login", "occurred_at": "2026-03-01T12:00:00Z", "received_at": "2026-03-01T12:00:09Z"},
        {
            "event_id": "1",
            "user_id": "7",
            "kind": "login",
            "occurred_at": "2026-03-01T12:00:00.000000Z",
            "received_at": "2026-03-03T08:00:00Z",
        },
    ]
    file = tmp_path / "events.jsonl.gz"
    file.write_bytes(gzip.compress(b"\n".join(map(orjson.dumps, rows))))
    raw_log = ParquetRawLog(tmp_path / "raw")
    target = ImportTarget(
        raw_log=raw_log,
        timelines=MemoryTimelineStore(kinds=onboarding.catalogue.kinds, clock_us=lambda: 0),
        profiles=MemoryProfileStore(),
        labels_dir=tmp_path,
        rejected_dir=tmp_path,
    )
    declaration = next(log for log in onboarding.logs if isinstance(log, LogDeclaration) and log.name == "events")
    report = import_file(file, declaration, onboarding, target, imported_at=datetime(2026, 3, 4, tzinfo=UTC))
    assert (report.rows, report.admitted, report.distinct) == (3, 3, 1)
    compact(raw_log.raw_dir, today=TODAY)
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    # one row a day: a copy that arrived on another day is in that day's file, and reading takes the earliest
    assert plain_rows(raw_log.raw_dir) == [("7", "1", at + timedelta(seconds=2)), ("7", "1", datetime(2026, 3, 3, 8, tzinfo=UTC))]
    assert [(row["user_id"], row["occurred_at"], row["received_at"]) for row in raw_log.scan().to_pylist()] == [
        ("7", at, at + timedelta(seconds=2))
    ]


class KilledError(BaseException):
    """Stands for SIGKILL: nothing of ours may catch it."""


@pytest.mark.parametrize("survived", [0, 1, 2, 3, 4, 8, 14])
def test_s2_09_killed_at_any_step_nothing_is_lost_and_nothing_is_read_twice(
    raw_dir: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    before = data_fingerprint(raw_dir)
    steps = iter(range(1_000))

    def step(original):
        def one(*arguments, **named):
            if next(steps) >= survived:
                raise KilledError
            return original(*arguments, **named)

        return one

    for name in ("replace", "unlink"):
        monkeypatch.setattr(Path, name, step(getattr(Path, name)))
    monkeypatch.setattr(compaction, "flush_folder", step(compaction.flush_folder))
    with pytest.raises(KilledError):
        compact(raw_dir, today=TODAY)
    assert data_fingerprint(raw_dir) == before
    monkeypatch.undo()
    compact(raw_dir, today=TODAY)
    assert data_fingerprint(raw_dir) == before
    assert [len(names) for names in parts(raw_dir).values()] == [1, 1, 1, 20]


def test_s2_09_a_part_that_arrives_for_a_compact_day_is_merged_by_the_next_compaction(raw_dir: Path) -> None:
    compact(raw_dir, today=TODAY)
    late, again = replace(login(0), event_id="late"), login(4)
    ParquetRawLog(raw_dir).append([late, again])
    assert len(parts(raw_dir)["day=2026-03-01"]) == 2
    assert [(day.day, day.parts, day.rows_before, day.rows_after) for day in compact(raw_dir, today=TODAY)] == [
        (date(2026, 3, 1), 2, 12, 11)
    ]
    assert event_hash(late) in ParquetRawLog(raw_dir).scan()["event_hash"].to_pylist()


def test_s2_09_a_damaged_day_is_named_and_the_others_are_done(raw_dir: Path) -> None:
    (raw_dir / "day=2026-03-02" / "part-0.parquet").write_bytes(b"no parquet")
    with pytest.raises(StoreError, match=r"1 days are as they were, 2 are compact; could not compact day=2026-03-02 \(ArrowInvalid"):
        compact(raw_dir, today=TODAY)
    assert [len(names) for names in parts(raw_dir).values()] == [1, 21, 1, 20]


def test_s2_09_two_compactions_at_once_are_refused(raw_dir: Path) -> None:
    with compaction.sole_writer(raw_dir), pytest.raises(StoreError, match="another process is replacing its parts"):
        compact(raw_dir, today=TODAY)
    assert len(compact(raw_dir, today=TODAY)) == 3


def test_an_erasure_waits_for_a_compaction_which_would_write_what_it_read_before(raw_dir: Path) -> None:
    log = ParquetRawLog(raw_dir)
    with ThreadPoolExecutor(1) as pool:
        with compaction.sole_writer(raw_dir):
            erasing = pool.submit(log.erase, ["u1"])
            with pytest.raises(TimeoutError):
                erasing.result(timeout=0.2)
            assert "u1" in log.scan()["user_id"].to_pylist()
        erasing.result()
    assert set(log.scan()["user_id"].to_pylist()) == {"u0", "u2", "u3", "u4", "u5", "u6"}
    ParquetRawLog(raw_dir / "nowhere").erase(["u1"])
    assert not (raw_dir / "nowhere").exists()


def test_an_erasure_takes_a_person_out_of_compact_days_too(raw_dir: Path) -> None:
    compact(raw_dir, today=TODAY)
    ParquetRawLog(raw_dir).erase(["u1"])
    assert "u1" not in {user_id for user_id, _, _ in plain_rows(raw_dir)}
    assert compact(raw_dir, today=TODAY) == []


_BOUNDED = """
import resource, sys
from datetime import date
from pathlib import Path
from features.adapters.compaction import compact
compact(Path(sys.argv[1]), today=date(2026, 3, 2), memory_mib=64)  # loads everything that is loaded once
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(compact(Path(sys.argv[1]), today=date(2026, 3, 4), memory_mib=96)[0].rows_after)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_s2_09_memory_is_bounded_however_large_a_day_is(tmp_path: Path) -> None:
    """A day whose rows take more than the limit of 96 MiB is compacted by spilling."""
    log = ParquetRawLog(tmp_path)
    log.append([login(0), login(4)])
    day = FIRST + timedelta(days=1)
    base = event_table(
        [Event(event_id=f"{n:040d}", user_id=f"user-{n:030d}", kind="login", occurred_at=day, received_at=day) for n in range(50_000)]
    )
    for number in range(12):
        hashes = base["event_hash"].to_numpy() + number
        log.append_table(base.set_column(base.schema.get_field_index("event_hash"), SCHEMA.field("event_hash"), [hashes]))
    done = subprocess.run([sys.executable, "-c", _BOUNDED, str(tmp_path)], capture_output=True, text=True, check=True, env=os.environ)
    rows, grown_mib = map(int, done.stdout.split())
    assert rows == 600_000
    assert grown_mib < 260
