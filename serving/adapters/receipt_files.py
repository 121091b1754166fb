"""Exported receipts, read back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.ports import StoreError

_ROWS = 2_000
AT_ONCE = 50_000
"""So many receipts are held at a time to be put in order: about half a gigabyte."""
_SCORES = ("decision_id", "model", "shadow_model", "risk", "shadow_risk", "threshold")


def exported_receipts(receipts_dir: Path) -> Iterator[list[bytes]]:
    """Receipts of `serving.adapters.receipt_export`, each once, some thousands at a time, days ascending.

    Raises
    ------
    StoreError
        If a file cannot be read.

    Examples
    --------
    >>> list(exported_receipts(Path("/nowhere")))
    []
    """
    seen: set[str] = set()
    for part in sorted(receipts_dir.glob("day=*/part-*.parquet")):
        for batch in _batches(part, ["decision_id", "receipt"]):
            rows = zip(batch["decision_id"].to_pylist(), batch["receipt"].to_pylist(), strict=True)
            new = {decision_id: receipt.encode() for decision_id, receipt in rows if decision_id not in seen}
            seen.update(new)
            yield list(new.values())


def receipts_in_order(receipts_dir: Path, *, at_once: int = AT_ONCE) -> Iterator[list[bytes]]:
    """The same, those of each user in the order of their as_of, and of their ids where it is one instant.

    Parts lie in folders by the day of as_of, and in no order within one. A day of more than ``at_once`` receipts is read in shares of its
    users, once for each share: 20 times for a day of a million, at a second for each 100,000 receipts. That makes running a policy over
    them half as long again. Memory holds one share.

    Raises
    ------
    StoreError
        If a file cannot be read.

    Examples
    --------
    >>> list(receipts_in_order(Path("/nowhere")))
    []
    """
    for day in sorted(receipts_dir.glob("day=*")):
        parts = sorted(day.glob("part-*.parquet"))
        shares = -(-sum(_rows_of(part) for part in parts) // at_once)
        for share in range(shares):
            row_of_id: dict[str, tuple[Any, str, bytes]] = {}
            for part in parts:
                row_of_id |= {row[1]: row for row in _share_of(part, share, shares)}
            yield [receipt for _, _, receipt in sorted(row_of_id.values())]


def _rows_of(part: Path) -> int:
    try:
        return int(pq.read_metadata(part).num_rows)
    except (OSError, pa.ArrowException) as exc:
        raise _unreadable(part, exc) from exc


def _share_of(part: Path, share: int, shares: int) -> Iterator[tuple[Any, str, bytes]]:
    """as_of, decision id and receipt of those users whose turn it is."""
    for batch in _batches(part, ["as_of", "decision_id", "user_id", "receipt"]):
        is_mine = [crc32(user_id.encode()) % shares == share for user_id in batch["user_id"].to_pylist()]
        mine = batch.filter(pa.array(is_mine, pa.bool_()))
        receipts = (receipt.encode() for receipt in mine["receipt"].to_pylist())
        yield from zip(mine["as_of"].to_pylist(), mine["decision_id"].to_pylist(), receipts, strict=True)


def _batches(part: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Some thousand rows of these columns at a time."""
    try:
        with pq.ParquetFile(part) as file:
            yield from file.iter_batches(batch_size=_ROWS, columns=columns)
    except (OSError, KeyError, pa.ArrowException) as exc:
        raise _unreadable(part, exc) from exc


def _unreadable(part: Path, exc: Exception) -> StoreError:
    return StoreError(f"{part}: could not be read ({type(exc).__name__}: {exc}); move it away, it is exported again")


def receipts_of_file(file: Path) -> Iterator[list[bytes]]:
    """Receipts of one file: exported Parquet, or one JSON receipt a line.

    Raises
    ------
    StoreError
        If the file cannot be read.
    """
    expected = "exported Parquet with a column receipt, or one JSON receipt a line"
    try:
        if file.suffix == ".parquet":
            with pq.ParquetFile(file) as parquet:
                if "receipt" not in parquet.schema_arrow.names:
                    raise StoreError(f"{file}: found columns {', '.join(parquet.schema_arrow.names)}, expected {expected}")
                for batch in parquet.iter_batches(batch_size=_ROWS, columns=["receipt"]):
                    yield [_as_bytes(receipt) for receipt in batch["receipt"].to_pylist()]
            return
        with file.open("rb") as lines:
            while some := list(islice(lines, _ROWS)):
                yield [line for line in some if line.strip()]
    except (OSError, pa.ArrowException) as exc:
        raise StoreError(f"{file}: could not be read ({type(exc).__name__}: {exc}); expected {expected}") from exc


def _as_bytes(receipt: Any) -> bytes:
    """What stands in the column; whether it is a receipt is for whoever reads it to say."""
    return receipt if isinstance(receipt, bytes) else str(receipt or "").encode()


def exported_scores(receipts_dir: Path) -> dict[str, npt.NDArray[Any]]:
    """Every exported decision that a challenger scored too, once, as columns; none where files are older than challengers.

    Raises
    ------
    StoreError
        If a file cannot be read.

    Examples
    --------
    >>> len(exported_scores(Path("/nowhere"))["risk"])
    0
    """
    rows: dict[str, tuple[Any, ...]] = {}
    for part in sorted(receipts_dir.glob("day=*/part-*.parquet")):
        try:
            with pq.ParquetFile(part) as file:
                if "shadow_risk" in file.schema_arrow.names:
                    table = file.read(columns=list(_SCORES))
                    rows |= {row[0]: row for row in zip(*(table[name].to_pylist() for name in _SCORES), strict=True) if row[4] is not None}
        except (OSError, pa.ArrowException) as exc:
            raise _unreadable(part, exc) from exc
    columns = list(zip(*rows.values(), strict=True)) or [()] * len(_SCORES)
    kinds = {name: np.float64 if name in {"risk", "shadow_risk", "threshold"} else np.object_ for name in _SCORES}
    return {name: np.array(column, dtype=kinds[name]) for name, column in zip(_SCORES, columns, strict=True)}
