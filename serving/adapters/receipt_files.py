"""Exported receipts, read back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.ports import StoreError

_ROWS = 2_000
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
        try:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=_ROWS, columns=["decision_id", "receipt"]):
                    rows = zip(batch["decision_id"].to_pylist(), batch["receipt"].to_pylist(), strict=True)
                    new = {decision_id: receipt.encode() for decision_id, receipt in rows if decision_id not in seen}
                    seen.update(new)
                    yield list(new.values())
        except (OSError, pa.ArrowException) as exc:
            raise StoreError(f"{part}: could not be read ({type(exc).__name__}: {exc}); move it away, it is exported again") from exc


def receipts_of_file(file: Path) -> Iterator[list[bytes]]:
    """Receipts of one file: exported Parquet, or one JSON receipt a line.

    Raises
    ------
    StoreError
        If the file cannot be read.
    """
    try:
        if file.suffix == ".parquet":
            with pq.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(batch_size=_ROWS, columns=["receipt"]):
                    yield [receipt.encode() for receipt in batch["receipt"].to_pylist()]
            return
        with file.open("rb") as lines:
            while some := [line for line in islice(lines, _ROWS) if line.strip()]:
                yield some
    except (OSError, KeyError, pa.ArrowException) as exc:
        expected = "exported Parquet with a column receipt, or one JSON receipt a line"
        raise StoreError(f"{file}: could not be read ({type(exc).__name__}: {exc}); expected {expected}") from exc


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
            raise StoreError(f"{part}: could not be read ({type(exc).__name__}: {exc}); move it away, it is exported again") from exc
    columns = list(zip(*rows.values(), strict=True)) or [()] * len(_SCORES)
    kinds = {name: np.float64 if name in {"risk", "shadow_risk", "threshold"} else np.object_ for name in _SCORES}
    return {name: np.array(column, dtype=kinds[name]) for name, column in zip(_SCORES, columns, strict=True)}
