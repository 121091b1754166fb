"""Every file of one product's state that may name a user, whatever wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from features.ingest.erase_rows import erase_lines, erase_rows

_TEXTS = (".csv", ".jsonl", ".json", ".txt", ".tsv")


@dataclass(frozen=True, slots=True)
class ProductFiles:
    """The Parquet files below a product's state folder, and the rows as they came in ``rejected`` and ``incoming``.

    All Parquet files that have a column of ids are covered, so that a new one is covered without being listed here.
    """

    product_dir: Path

    def erase(self, user_ids: Sequence[str]) -> int:
        """Remove every row and line that names one of the users; returns how many."""
        rows = erase_rows(sorted(self.product_dir.rglob("*.parquet")), user_ids)
        texts = [path for name in ("rejected", "incoming") for path in sorted((self.product_dir / name).rglob("*")) if _is_text(path)]
        return rows + erase_lines(texts, user_ids)


def _is_text(path: Path) -> bool:
    return path.is_file() and path.with_suffix("" if path.suffix == ".gz" else path.suffix).suffix in _TEXTS
