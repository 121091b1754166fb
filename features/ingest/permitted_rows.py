"""Rows of an event log that may be kept: those of people who, by what stands in their profiles now, may be tracked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from features.declarations.log import DailyCountsLog, EventsLog, LogDeclaration
from features.ingest.answers import StoredAnswers
from features.ingest.collection import usable_id
from features.ingest.declared_rows import as_text
from features.ingest.rows import Row


@dataclass(slots=True, kw_only=True)
class PermittedRows:
    """Takes out rows before they are judged, so that a row which may not be kept is not set aside as refused either.

    Rows that tell no behaviour (profiles, labels) and rows that name nobody pass: the latter are refused for that.
    """

    declaration: LogDeclaration
    answers: StoredAnswers | None  # None: the product keeps everybody's behaviour
    n_not_kept: int = 0

    def of(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Rows of people whose behaviour may be kept; the others are counted.

        Raises
        ------
        StoreError
            If a store cannot be reached.
        """
        if self.answers is None or not isinstance(self.declaration, EventsLog | DailyCountsLog):
            return rows
        user_ids = [None if row.values is None else usable_id(as_text(row.values.get(self.declaration.user_id))) for row in rows]
        answers = self.answers.of(list(dict.fromkeys(user_id for user_id in user_ids if user_id is not None)))
        kept = [row for row, user_id in zip(rows, user_ids, strict=True) if user_id is None or answers.allows(user_id)]
        self.n_not_kept += len(rows) - len(kept)
        return kept
