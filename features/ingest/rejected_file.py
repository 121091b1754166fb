"""Where refused rows go: a CSV that a person can sort by reason, correct, and import again."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import orjson

from features.ingest.rejection import Rejection
from features.ingest.rows import Row

COLUMNS = ("line", "code", "field", "message", "row")


class RejectedFile:
    """Refused rows with line number, code, field, message and the row as it stood; the file exists only if a row was refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._writer: Any = None
        self.by_code: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def path(self) -> Path | None:
        """The file, or None as long as nothing was refused."""
        return self._path if self.by_code else None

    def write(self, row: Row, rejection: Rejection) -> None:
        """Add one refusal; a row of a wide table may have several."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
            self._writer = csv.writer(self._file)
            self._writer.writerow(COLUMNS)
        self._writer.writerow((row.line, rejection.code, rejection.field, rejection.message, row.raw or _as_json(row)))
        self.by_code[rejection.code] += 1


def _as_json(row: Row) -> str:
    return "" if row.values is None else orjson.dumps(dict(row.values), default=str, option=orjson.OPT_NON_STR_KEYS).decode()
