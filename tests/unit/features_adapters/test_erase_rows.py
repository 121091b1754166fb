from __future__ import annotations

import gzip

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


def test_all_files_of_a_product_are_covered_without_being_listed(tmp_path):
    files = [write(tmp_path / name / "x.parquet", user_id=["ada", "ben"]) for name in ("raw/day=2026-03-01", "something/new", "labels")]
    (tmp_path / "rejected").mkdir()
    (tmp_path / "rejected" / "rows.csv").write_text("1,ada\n2,ben\n")
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "card.csv").write_text("ada\n")
    assert ProductFiles(tmp_path).erase(["ada"]) == 4
    assert all(pq.ParquetFile(file).read()["user_id"].to_pylist() == ["ben"] for file in files)
    assert (tmp_path / "bundles" / "card.csv").read_text() == "ada\n"
