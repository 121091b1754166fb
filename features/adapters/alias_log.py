"""The log of accepted aliases: Parquet beside the raw log; and its twin in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from features.adapters.raw_log import write_part
from features.backfill.alias_scan import ALIAS_PARTS_GLOB, ALIAS_SCHEMA
from features.core.alias import Alias
from features.ingest.erase_rows import erase_rows
from features.ports import StoreError


@dataclass(frozen=True, slots=True)
class ParquetAliasLog:
    """Appends part files ``<aliases_dir>/part-<content hash>.parquet``; readable by DuckDB and pandas without this code.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from tempfile import TemporaryDirectory
    >>> noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    >>> with TemporaryDirectory() as folder:
    ...     log = ParquetAliasLog(Path(folder))
    ...     log.append([Alias(previous_id="phone-7", user_id="ada", occurred_at=noon, received_at=noon)] * 2)
    ...     len(list(Path(folder).iterdir()))
    1
    """

    aliases_dir: Path

    def append(self, aliases: Sequence[Alias]) -> None:
        """Store the aliases; durable once this returns.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        if not aliases:
            return
        try:
            write_part(self.aliases_dir, alias_table(aliases))
        except OSError as exc:
            raise StoreError(
                f"alias log {self.aliases_dir}: a part could not be written ({exc}); check free space and permissions"
            ) from exc

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove every alias that names one of the users."""
        erase_rows(sorted(self.aliases_dir.glob(ALIAS_PARTS_GLOB)), user_ids)


@dataclass(frozen=True, slots=True)
class MemoryAliasLog:
    """Keeps the aliases it is given; for tests."""

    aliases: list[Alias] = field(default_factory=list)

    def append(self, aliases: Sequence[Alias]) -> None:
        """Keep the aliases."""
        self.aliases.extend(aliases)

    def erase(self, user_ids: Sequence[str]) -> None:
        """Forget every alias that names one of the users."""
        gone = set(user_ids)
        self.aliases[:] = [alias for alias in self.aliases if gone.isdisjoint((alias.previous_id, alias.user_id))]


def alias_table(aliases: Sequence[Alias]) -> pa.Table:
    """Lay distinct aliases out as rows of `ALIAS_SCHEMA`."""
    rows = sorted({(alias.previous_id, alias.user_id, alias.occurred_at, alias.received_at) for alias in aliases})
    return pa.Table.from_pylist([dict(zip(ALIAS_SCHEMA.names, row, strict=True)) for row in rows], schema=ALIAS_SCHEMA)
