"""Imports of logs as they really are: broken lines, wrong clocks, duplicates, a store that is away."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import orjson
import pytest

from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import ParquetRawLog
from features.core.product import Product
from features.core.timeline import Timeline
from features.declarations.log import LogDeclaration
from features.ingest.import_log import ImportReport, ImportTarget, import_file
from features.ports import StoredTimeline, StoreError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
USERS = [f"user-{number}" for number in range(10)]


def good(number: int) -> dict[str, object]:
    at = (NOW - timedelta(minutes=number)).isoformat()
    return {
        "event_id": f"e{number}",
        "user_id": USERS[number % 10],
        "kind": "login",
        "occurred_at": at,
        "received_at": at,
        "session_id": "s",
    }


BAD: list[tuple[str, bytes | dict[str, object]]] = [
    ("malformed", b'{"event_id": "half'),
    ("malformed", b"\xff\xfe\x00"),
    ("malformed", b"[]"),
    ("malformed", b'{"event_id": "n", "value": NaN}'),
    ("missing_event_id", good(0) | {"event_id": None}),
    ("event_id_too_long", good(0) | {"event_id": "e" * 200}),
    ("missing_user", good(0) | {"user_id": None}),
    ("bad_user_id", good(0) | {"user_id": "a\0b"}),
    ("user_id_too_long", good(0) | {"user_id": "u" * 129}),
    ("unknown_kind", good(0) | {"kind": "logni"}),
    ("naive_timestamp", good(0) | {"occurred_at": "2026-02-01T10:00:00"}),
    ("bad_timestamp", good(0) | {"occurred_at": "01/02/2026"}),
    ("future_timestamp", good(0) | {"occurred_at": (NOW + timedelta(days=1)).isoformat()}),
    ("bad_value", good(0) | {"value": 3}),
    ("bad_value", good(0) | {"kind": "session_ended", "value": 1.5}),
    ("bad_subject", good(0) | {"kind": "page_view"}),
    ("bad_session_id", good(0) | {"session_id": " "}),
]


@pytest.fixture
def log(onboarding: Product) -> LogDeclaration:
    return next(log for log in onboarding.logs if isinstance(log, LogDeclaration) and log.name == "events")


@pytest.fixture
def target(onboarding: Product, tmp_path: Path) -> ImportTarget:
    return target_over(MemoryTimelineStore(kinds=onboarding.catalogue.kinds, clock_us=lambda: 1), tmp_path)


def target_over(timelines: MemoryTimelineStore, folder: Path) -> ImportTarget:
    return ImportTarget(
        raw_log=ParquetRawLog(folder / "raw"),
        timelines=timelines,
        profiles=MemoryProfileStore(),
        labels_dir=folder / "labels",
        rejected_dir=folder / "rejected",
    )


def written(path: Path, lines: Sequence[bytes | Mapping[str, object]]) -> Path:
    content = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    path.write_bytes(gzip.compress(content))
    return path


def run(path: Path, log: LogDeclaration, product: Product, target: ImportTarget) -> ImportReport:
    return import_file(path, log, product, target, imported_at=NOW)


def packed(target: ImportTarget) -> list[StoredTimeline]:
    return target.timelines.read(USERS)


def test_s2_11_bad_lines_are_named_and_set_aside_and_every_good_line_comes_in(
    onboarding: Product, log: LogDeclaration, target: ImportTarget, tmp_path: Path
) -> None:
    lines: list[bytes | Mapping[str, object]] = []
    for number, (_, bad) in enumerate(BAD):
        lines += [good(number), bad]
    report = run(written(tmp_path / "events.jsonl.gz", lines), log, onboarding, target)
    assert (report.rows, report.admitted, report.distinct) == (2 * len(BAD), len(BAD), len(BAD))
    assert report.rejected_file is not None
    with report.rejected_file.open(newline="") as file:
        refused = list(csv.DictReader(file))
    assert [(int(row["line"]), row["code"]) for row in refused] == [(2 * n + 2, code) for n, (code, _) in enumerate(BAD)]
    assert all(row["message"] and row["row"] for row in refused)
    only_good = target_over(MemoryTimelineStore(kinds=onboarding.catalogue.kinds, clock_us=lambda: 1), tmp_path / "clean")
    run(written(tmp_path / "clean.jsonl.gz", [good(number) for number in range(len(BAD))]), log, onboarding, only_good)
    assert packed(target) == packed(only_good)


def test_s2_09_duplicates_and_any_order_give_the_same_timelines(
    onboarding: Product, log: LogDeclaration, target: ImportTarget, tmp_path: Path
) -> None:
    lines = [good(number) for number in range(100)]
    run(written(tmp_path / "events.jsonl.gz", lines), log, onboarding, target)
    shuffled = lines * 3
    random.Random(7).shuffle(shuffled)
    other = target_over(MemoryTimelineStore(kinds=onboarding.catalogue.kinds, clock_us=lambda: 1), tmp_path / "other")
    report = run(written(tmp_path / "shuffled.jsonl.gz", shuffled), log, onboarding, other)
    assert (report.admitted, report.distinct) == (300, 100)
    assert packed(other) == packed(target)


def test_s1_04_every_admitted_event_stays_in_the_raw_log_for_analysis(
    onboarding: Product, log: LogDeclaration, target: ImportTarget, tmp_path: Path
) -> None:
    run(written(tmp_path / "events.jsonl.gz", [good(number) for number in range(50)]), log, onboarding, target)
    with duckdb.connect() as connection:
        row = connection.execute(f"SELECT count(DISTINCT event_id) FROM read_parquet('{tmp_path}/raw/*/*.parquet')").fetchone()
    assert row == (50,)


class AwayStore(MemoryTimelineStore):
    """A store that stops answering after so many merges."""

    def __init__(self, product: Product, answers: int) -> None:
        super().__init__(kinds=product.catalogue.kinds, clock_us=lambda: 1)
        self.answers = answers

    def merge(self, updates: Mapping[str, Timeline]) -> None:
        self.answers -= 1
        if self.answers < 0:
            raise StoreError("could not write timelines: connection refused; is Redis running at the configured address?")
        super().merge(updates)


def test_an_import_that_loses_its_store_halfway_says_so_and_is_completed_by_importing_again(
    onboarding: Product, log: LogDeclaration, target: ImportTarget, tmp_path: Path
) -> None:
    users = [f"user-{number}" for number in range(1_200)]
    lines = [good(number) | {"user_id": user} for number, user in enumerate(users)]
    path = written(tmp_path / "events.jsonl.gz", lines)
    store = AwayStore(onboarding, answers=1)
    away = target_over(store, tmp_path / "away")
    with pytest.raises(StoreError, match="is Redis running"):
        run(path, log, onboarding, away)
    assert 0 < sum(row.packed != b"" for row in store.read(users)) < len(users)
    store.answers = 100
    run(path, log, onboarding, away)
    run(path, log, onboarding, target)
    assert store.read(users) == target.timelines.read(users)
    assert isinstance(away.raw_log, ParquetRawLog)
    assert away.raw_log.scan().num_rows == len(users)


def test_a_flood_of_bad_lines_does_not_stop_the_import(
    onboarding: Product, log: LogDeclaration, target: ImportTarget, tmp_path: Path
) -> None:
    lines = [b"{broken"] * 5_000 + [orjson.dumps(good(1))]
    report = run(written(tmp_path / "events.jsonl.gz", lines), log, onboarding, target)
    assert (report.admitted, dict(report.rejected)) == (1, {"malformed": 5_000})
