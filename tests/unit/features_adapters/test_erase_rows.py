from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.adapters.erase_files import ProductFiles
from features.ingest.erase_rows import erase_lines, erase_rows
from features.ports import StoreError


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata({b"stillhere:parts": b"x"}), path)
    return path


def test_rows_that_name_a_user_in_any_id_column_go_and_all_else_stays(tmp_path):
    file = write(tmp_path / "a.parquet", previous_id=["p", "q", "r"], user_id=["ada", "ben", "p"], n=[1, 2, 3])
    assert erase_rows([file], ["ada", "p"]) == 2
    table = pq.ParquetFile(file).read()
    assert (table.to_pylist(), table.schema.metadata) == ([{"previous_id": "q", "user_id": "ben", "n": 2}], {b"stillhere:parts": b"x"})


def test_files_that_name_nobody_are_not_written(tmp_path):
    file, other = write(tmp_path / "a.parquet", user_id=["ben", None]), write(tmp_path / "b.parquet", n=[1])
    assert erase_rows([write(tmp_path / "none.parquet", user_id=pa.array([], pa.string()))], ["ada"]) == 0
    before = [path.stat().st_mtime_ns for path in (file, other)]
    assert erase_rows([file, other, tmp_path / "missing.parquet"], ["ada"]) == 0
    assert [path.stat().st_mtime_ns for path in (file, other)] == before


def test_a_part_without_rows_left_is_removed_and_another_file_is_left_empty(tmp_path):
    part, file = write(tmp_path / "part-1.parquet", user_id=["ada"]), write(tmp_path / "a.parquet", user_id=["ada"])
    assert erase_rows([part, file], ["ada"]) == 2
    assert not part.exists()
    assert pq.ParquetFile(file).read().num_rows == 0


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    file = tmp_path / "part-1.parquet"
    file.write_bytes(b"PAR1 broken")
    with pytest.raises(StoreError, match=r"part-1\.parquet.*erase again"):
        erase_rows([file], ["ada"])


@pytest.mark.parametrize("user_id", ["ada", "a.d+a", "Zoë", "7"])
def test_lines_go_where_the_id_is_a_whole_word(tmp_path, user_id):
    kept = f"x{user_id},1\n{user_id}x,2\n{user_id}-2,3\nbob,4\n"
    gone = f'{user_id},5\n"user":"{user_id}"\nlast {user_id}\n'
    plain, packed = tmp_path / "a.csv", tmp_path / "a.csv.gz"
    plain.write_text(gone + kept)
    packed.write_bytes(gzip.compress((kept + gone).encode()))
    assert erase_lines([plain, packed], [user_id, "nobody"]) == 6
    assert plain.read_text() == gzip.decompress(packed.read_bytes()).decode() == kept
    assert erase_lines([plain], []) == 0


def files_of(folder):
    return ProductFiles(product_dir=folder, raw_dir=folder / "raw", rejected_dir=folder / "rejected", incoming_dir=folder / "incoming")


@pytest.mark.parametrize("user_id", ["Zoë", 'O"Hara', "a\\b", "ada"])
def test_ids_are_found_as_csv_and_json_write_them_and_records_go_whole(tmp_path, user_id):
    file = tmp_path / "rows.csv"
    rows = [json.dumps({"u": user_id, "note": "n"}), orjson.dumps({"u": user_id}).decode(), f"1;{user_id}\nits second line", user_id]
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([["line", "row"], *([n, row] for n, row in enumerate(rows)), [9, "kept\nwith its second line"]])
    assert erase_lines([file], [user_id], as_records=True) == 4
    with file.open(newline="", encoding="utf-8") as left:
        assert list(csv.reader(left)) == [["line", "row"], ["9", "kept\nwith its second line"]]


def test_a_longer_id_that_begins_or_ends_alike_is_another(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("ada.lovelace\nmy.ada\nÉada\nada's\nThis is ada.\n", encoding="utf-8")
    erase_lines([file], ["ada"])
    assert file.read_text(encoding="utf-8") == "ada.lovelace\nmy.ada\nÉada\n"


def test_what_killed_writers_left_is_removed_and_what_living_ones_write_is_not(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    left = [
        tmp_path / "receipts" / f".00ff.{ended.pid}",
        tmp_path / "feast" / "profile_changes" / f".part-1.parquet.{ended.pid}-140",
        tmp_path / "raw" / "day=2026-03-01" / f".part-2.parquet.{ended.pid}",
        tmp_path / "raw" / "day=2026-03-01" / f".part-compact-{os.getpid()}",  # whoever holds the log's lock is no compaction
        tmp_path / "raw" / ".compaction.spill" / "duckdb_temp_block-1.block",
    ]
    stay = [tmp_path / "receipts" / f".00fe.{os.getpid()}", tmp_path / "receipts" / "part-1.7"]
    for file in (*left, *stay):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("ada")
    files_of(tmp_path).erase(["ada"])
    assert [file for file in (*left, *stay) if file.exists()] == stay


def test_all_files_of_a_product_are_covered_without_being_listed(tmp_path):
    files = [write(tmp_path / name / "x.parquet", user_id=["ada", "ben"]) for name in ("raw/day=2026-03-01", "something/new", "labels")]
    (tmp_path / "rejected").mkdir()
    (tmp_path / "rejected" / "rows.csv").write_text("1,ada\n2,ben\n")
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "card.csv").write_text("ada\n")
    theirs = write(tmp_path / "incoming" / "log.parquet", who=["ada", "ben"], n=[1, 2])
    assert files_of(tmp_path).erase(["ada"]) == 5
    assert pq.ParquetFile(theirs).read().to_pylist() == [{"who": "ben", "n": 2}]
    assert all(pq.ParquetFile(file).read()["user_id"].to_pylist() == ["ben"] for file in files)
    assert (tmp_path / "bundles" / "card.csv").read_text() == "ada\n"
