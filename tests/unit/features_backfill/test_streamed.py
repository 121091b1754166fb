from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.adapters.alias_log import ParquetAliasLog
from features.adapters.raw_log import ParquetRawLog
from features.backfill.snapshots import build_snapshots
from features.backfill.streamed import SpineError, stream_snapshots
from features.core.alias import Alias
from features.core.event import Event
from features.core.product import Product

START = datetime(2024, 5, 1, tzinfo=UTC)
ORDER = [("user_id", "ascending"), ("snapshot_as_of", "ascending")]


def spine() -> pa.Table:
    rows = [(user, START + timedelta(hours=7 * step)) for user in ("ada", "bob", "Zoë", "nobody") for step in range(40)]
    instants = pa.array([as_of for _, as_of in rows], pa.timestamp("us", tz="UTC"))
    return pa.table({"user_id": pa.array([user for user, _ in rows], pa.string()), "as_of": instants})


@pytest.mark.parametrize("events_per_part", [1, 7, 1_000_000])
def test_in_however_many_parts_the_numbers_are_those_of_one_pass(
    events_per_part: int, product: Product, history: list[Event], tmp_path: Path
) -> None:
    ParquetRawLog(tmp_path / "raw").append([*history, *history[:5]])
    attached = Alias(previous_id="bob", user_id="ada", occurred_at=START + timedelta(days=3), received_at=START + timedelta(days=3))
    ParquetAliasLog(tmp_path / "aliases").append([attached])
    pq.write_table(spine(), tmp_path / "spine.parquet")
    seen: list[tuple[int, int]] = []
    n_rows = stream_snapshots(
        tmp_path / "raw",
        product,
        tmp_path / "spine.parquet",
        tmp_path / "out",
        events_per_part=events_per_part,
        progress=lambda done, of: seen.append((done, of)),
    )
    found = pq.read_table(tmp_path / "out").sort_by(ORDER)
    expected = build_snapshots(tmp_path / "raw", product, spine()).sort_by(ORDER)
    assert n_rows == found.num_rows == spine().num_rows
    assert found.cast(expected.schema).equals(expected) or str(found.to_pylist()) == str(expected.to_pylist())
    assert seen[-1][0] == seen[-1][1] == len(seen)
    assert {file.suffix for file in (tmp_path / "out").iterdir()} == {".parquet"}
    assert not list(tmp_path.glob(".out-*"))


def test_the_spine_may_be_a_folder_and_the_log_empty(product: Product, tmp_path: Path) -> None:
    (tmp_path / "spine" / "deep").mkdir(parents=True)
    pq.write_table(spine().slice(0, 3), tmp_path / "spine" / "one.parquet")
    pq.write_table(spine().slice(3, 2), tmp_path / "spine" / "deep" / "two.parquet")
    assert stream_snapshots(tmp_path / "raw", product, tmp_path / "spine", tmp_path / "ann's" / "out") == 5
    assert pq.read_table(tmp_path / "ann's" / "out").num_rows == 5


def test_snapshots_of_two_runs_never_mix(product: Product, tmp_path: Path) -> None:
    pq.write_table(spine(), tmp_path / "spine.parquet")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-0000.parquet").touch()
    with pytest.raises(FileExistsError, match="expected an empty or a new one"):
        stream_snapshots(tmp_path / "raw", product, tmp_path / "spine.parquet", tmp_path / "out")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"user_id": ["ada"], "at": pa.array([0], pa.timestamp("us", tz="UTC"))}), "expected as_of too"),
        (pa.table({"user_id": ["ada"], "as_of": pa.array([0], pa.timestamp("us"))}), "expected a timestamp with a zone"),
        (pa.table({"user_id": ["ada"], "as_of": ["2024-05-01"]}), "as_of: found string"),
        (pa.table({"user_id": pa.array([None], pa.string()), "as_of": pa.array([0], pa.timestamp("us", tz="UTC"))}), "without a user_id"),
        (pa.table({"user_id": ["ada"], "as_of": pa.array([None], pa.timestamp("us", tz="UTC"))}), "without an as_of"),
    ],
)
def test_a_spine_that_cannot_be_used_is_refused_by_name(table: pa.Table, message: str, product: Product, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "spine.parquet")
    with pytest.raises(SpineError, match=message):
        stream_snapshots(tmp_path / "raw", product, tmp_path / "spine.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_spine_that_is_no_parquet_is_refused_by_name(product: Product, tmp_path: Path) -> None:
    (tmp_path / "spine.parquet").write_text("user_id,as_of\n")
    with pytest.raises(SpineError, match=r"spine\.parquet: got no Parquet"):
        stream_snapshots(tmp_path / "raw", product, tmp_path / "spine.parquet", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpineError, match="found no file"):
        stream_snapshots(tmp_path / "raw", product, tmp_path / "empty", tmp_path / "out")
