"""Every file of one product's state that may name a user, whatever wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from features.adapters.compaction import erase_users
from features.ingest.durable import is_left_behind
from features.ingest.erase_rows import erase_lines, erase_rows
from features.ports import StoreError

_TEXTS = (".csv", ".jsonl", ".json", ".txt", ".tsv")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFiles:
    """The Parquet files below a product's state folder, the rows as they came in ``rejected`` and ``incoming``, and half-written files.

    All Parquet files that have a column of ids are covered, so that a new one is covered without being listed here.
    """

    product_dir: Path
    raw_dir: Path  # below it
    rejected_dir: Path
    incoming_dir: Path

    def erase(self, user_ids: Sequence[str]) -> int:
        """Remove every row and line that names one of the users, and files that a killed process left unfinished; returns how many rows.

        Raises
        ------
        StoreError
            If a file cannot be read, replaced or removed; erase again when it can.
        """
        self._remove_left_behind()
        erased = erase_users(self.raw_dir, user_ids)
        erased += erase_rows([path for path in sorted(self.product_dir.rglob("*.parquet")) if self._is_ours(path)], user_ids)
        erased += erase_rows(sorted(self.incoming_dir.rglob("*.parquet")), user_ids, in_any_column=True)
        erased += erase_lines(_texts(self.incoming_dir), user_ids)
        return erased + erase_lines(_texts(self.rejected_dir), user_ids, as_records=True)

    def _is_ours(self, path: Path) -> bool:
        return not any(path.is_relative_to(folder) for folder in (self.raw_dir, self.incoming_dir))

    def _remove_left_behind(self) -> None:
        for path in [path for path in self.product_dir.rglob(".*") if path.is_file() and is_left_behind(path)]:
            try:
                path.unlink(missing_ok=True)
            except OSError as exc:
                raise StoreError(f"{path}: what a killed process left could not be removed ({exc}); remove it and erase again") from exc


def _texts(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and _is_text(path)]


def _is_text(path: Path) -> bool:
    return path.with_suffix("" if path.suffix == ".gz" else path.suffix).suffix in _TEXTS
