"""Who fell silent: persons without activity for a while, who send no event that anybody could act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from features.backfill.raw_scan import open_raw_log
from features.core.event import from_us
from features.ports import StoreError

# Reading duplicates saves removing them, and no maximum changes by them. An event of a clock that ran ahead counts as of its arrival, as in
# every feature.
_NEWEST = """
WITH newest AS (
    SELECT user_id, coalesce(max(happened_at) FILTER (WHERE list_contains($activity, kind)), max(happened_at)) AS silent_since
    FROM (SELECT user_id, kind, least(occurred_at, received_at) AS happened_at FROM known_parts WHERE received_at <= $as_of)
    GROUP BY user_id
)
"""

_SILENT = f"""
{_NEWEST}
SELECT user_id FROM newest
WHERE silent_since BETWEEN $oldest AND $newest AND user_id NOT IN (SELECT previous_id FROM links)
ORDER BY user_id
"""  # noqa: S608 - text of ours

_NEWEST_OF_ALL = "SELECT epoch_us(max(least(occurred_at, received_at))) FROM parts WHERE received_at <= $as_of"

_LOOKS = 3
_ROWS_AT_A_TIME = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """Who is silent at an instant, by what the raw log knew then."""

    user_ids: tuple[str, ...]  # each person once, under the id that their others are attached to; in order
    newest_at: datetime | None  # of the newest event of anybody; None: there is none


def find_silent(raw_dir: Path, *, activity: Sequence[str], as_of: datetime, silent_for: timedelta, silent_until: timedelta) -> Silent:
    """Find the persons whose newest activity is at least ``silent_for`` and at most ``silent_until`` before ``as_of``.

    Only events received by ``as_of`` count, so that the same instant finds the same persons later on. Aliases and erasures count as they
    stand now, so that nobody is found under two ids. Who never was active is silent since their newest event of any kind, which is when it
    was last known that they exist. Who has a profile and no event, as after an import of profiles alone, is not found.

    Memory, measured with 10 million events of 5 million persons: 1.0 GB at the most, 0.3 GB of it for the ids of the 4.3 million that are
    returned.

    Parameters
    ----------
    raw_dir
        Folder of the raw log; the log of aliases lies beside it.
    activity
        Kinds of events that somebody makes who is there; what the sender of messages tells is none.
    as_of
        Aware.
    silent_for, silent_until
        Both edges are inside.

    Raises
    ------
    StoreError
        If a file of the log cannot be read.

    Examples
    --------
    >>> from datetime import UTC
    >>> find_silent(
    ...     Path("/nowhere"),
    ...     activity=["login"],
    ...     as_of=datetime(2026, 3, 2, tzinfo=UTC),
    ...     silent_for=timedelta(days=1),
    ...     silent_until=timedelta(days=90),
    ... )
    Silent(user_ids=(), newest_at=None)
    """
    asked = {"activity": list(activity), "as_of": as_of, "oldest": as_of - silent_until, "newest": as_of - silent_for}
    for left in reversed(range(_LOOKS)):
        try:
            return _look(raw_dir, asked)
        except duckdb.Error as exc:
            if not (left and isinstance(exc, duckdb.IOException)):  # a compaction may have removed a file that was listed before
                raise StoreError(f"raw log {raw_dir} cannot be read ({exc}); if this names a file, see whether it is whole") from exc
    raise AssertionError  # the last look answers or raises


def _look(raw_dir: Path, asked: Mapping[str, object]) -> Silent:
    with open_raw_log(raw_dir) as log:
        user_ids = tuple(_column(log.execute(_SILENT, asked)))
        newest_us = log.execute(_NEWEST_OF_ALL, {"as_of": asked["as_of"]}).fetchall()[0][0]
    return Silent(user_ids=user_ids, newest_at=None if newest_us is None else from_us(newest_us))


def _column(found: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """The one column of a result, some rows at a time: a tuple around each of millions would take as much memory as the ids."""
    while rows := found.fetchmany(_ROWS_AT_A_TIME):
        yield from (user_id for (user_id,) in rows)
