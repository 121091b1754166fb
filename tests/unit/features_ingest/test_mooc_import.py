"""The KDD Cup 2015 data, where they are at hand: real files through the shipped declarations."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import ParquetRawLog
from features.core.product import Product
from features.declarations.product_file import load_product
from features.ingest.import_log import ImportReport, ImportTarget, declared_files, import_file

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("STILLHERE_DATA", ROOT.parent / "shared" / "data")) / "kddcup2015_mooc_daily"

pytestmark = pytest.mark.skipif(
    not (DATA / "daily_events.csv.gz").is_file(),
    reason=f"the MOOC data are not in {DATA}; set STILLHERE_DATA to the folder that holds them",
)


@pytest.fixture(scope="module")
def mooc() -> Product:
    return load_product(ROOT / "products" / "mooc")


@pytest.fixture(scope="module")
def imported(mooc: Product, tmp_path_factory: pytest.TempPathFactory) -> tuple[ImportTarget, dict[str, ImportReport]]:
    folder = tmp_path_factory.mktemp("mooc")
    target = ImportTarget(
        raw_log=ParquetRawLog(folder / "raw"),
        timelines=MemoryTimelineStore(kinds=mooc.catalogue.kinds, clock_us=lambda: 1),
        profiles=MemoryProfileStore(),
        labels_dir=folder / "labels",
        rejected_dir=folder / "rejected",
    )
    wanted = {"daily_events", "enrollments", "labels_30d"}  # one of each shape; the others read the same two files again
    reports = {log.name: import_file(path, log, mooc, target) for path, log in declared_files(DATA, mooc) if log.name in wanted}
    assert set(reports) == wanted
    return target, reports


def test_every_row_is_admitted(imported: tuple[ImportTarget, dict[str, ImportReport]]) -> None:
    _, reports = imported
    daily = reports["daily_events"]
    assert (daily.rows, daily.admitted, daily.distinct, daily.users) == (139_612, 499_994, 499_994, 57_366)
    assert [dict(report.rejected) for report in reports.values() if report.rejected] == []


def test_the_counts_are_the_counts_of_the_file(imported: tuple[ImportTarget, dict[str, ImportReport]]) -> None:
    target, _ = imported
    assert isinstance(target.raw_log, ParquetRawLog)
    parts = target.raw_log.raw_dir / "*" / "*.parquet"
    kinds = "access, discussion, navigate, page_close, problem, video, wiki"
    with duckdb.connect() as connection:
        stated = connection.execute(f"UNPIVOT (SELECT {kinds} FROM read_csv('{DATA / 'daily_events.csv.gz'}')) ON {kinds}").fetchall()
        raw = connection.execute(
            f"SELECT kind, sum(value)::BIGINT FROM read_parquet('{parts}') WHERE value IS NOT NULL GROUP BY kind"
        ).fetchall()
    expected: dict[str, int] = {}
    for kind, count in stated:
        expected[kind] = expected.get(kind, 0) + count
    assert dict(raw) == expected
    assert sum(expected.values()) == 3_815_440


def test_every_user_has_a_timeline_a_profile_and_a_label(imported: tuple[ImportTarget, dict[str, ImportReport]]) -> None:
    target, reports = imported
    stored = target.timelines.read(["3", "5", "7"])
    assert all(row.packed for row in stored)
    assert all(target.profiles.read(["3", "5", "7"]))
    assert (reports["enrollments"].users, reports["labels_30d"].users) == (57_366, 57_366)
