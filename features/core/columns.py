"""Events of many users as columns: what a whole log looks like to the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Kind
from features.core.event import Event, event_hash, text_hash, to_us

Int64s = npt.NDArray[np.int64]
Places = npt.NDArray[np.uint32]
"""Positions in other arrays. Unsigned, so that compiled code need not ask whether they count from the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventColumns:
    """Equally long arrays, one element per event, in any order; the same event may be there several times.

    An event is the same event when kind and event_hash are the same; it then counts once, known since the smallest
    known_us and with the largest skew_us.

    Raises
    ------
    ValueError
        If the arrays differ in length, dimension or type. (Their content is checked where it is used.)
    """

    user: Int64s  # code of the user, 0 .. n_users - 1
    kind: npt.NDArray[np.int16]  # index in the catalogue's kinds
    occurred_us: Int64s  # as sent
    known_us: Int64s  # when it became known for this user
    skew_us: Int64s  # max(0, occurred_us - received_us); features see occurred_us - skew_us
    event_hash: Int64s
    subject: Int64s  # text_hash, 0: none
    value: Int64s  # in the kind's unit, 0: none
    session: Int64s  # text_hash, 0: none

    def __post_init__(self) -> None:
        for field in fields(self):
            array = getattr(self, field.name)
            expected = np.dtype(np.int16 if field.name == "kind" else np.int64)
            if array.ndim != 1 or array.dtype != expected or len(array) != len(self.user):
                raise ValueError(
                    f"event column {field.name}: got {array.dtype} of shape {array.shape}, "
                    f"expected {expected} of shape ({len(self.user)},); convert before building EventColumns"
                )

    def __len__(self) -> int:
        return len(self.user)

    def check(self, n_users: int, n_kinds: int) -> None:
        """Nothing, if every event is one.

        Raises
        ------
        ValueError
            If a code of a user or kind is out of range, or an event was known before it happened.
        """
        coded = (self.user >= 0) & (self.user < n_users) & (self.kind >= 0) & (self.kind < n_kinds)
        right = coded & (self.skew_us >= 0) & (self.known_us >= self.occurred_us - self.skew_us)
        if right.all():
            return
        i = int(np.argmin(right))
        if not coded[i]:
            raise ValueError(
                f"event {i} of the log: got user code {self.user[i]} and kind code {self.kind[i]}, "
                f"expected 0 .. {n_users - 1} and 0 .. {n_kinds - 1}; number users and kinds again"
            )
        raise ValueError(
            f"event {i} of the log: got occurred_us {self.occurred_us[i]}, skew_us {self.skew_us[i]} and known_us {self.known_us[i]}, "
            "expected skew_us = max(0, occurred_us - received_us) and known_us >= received_us; an event cannot be known before it happened"
        )


def columns_from_events(events: Iterable[Event], kinds: Sequence[Kind]) -> tuple[EventColumns, list[str]]:
    """Columns of ``events`` and the user ids that their user codes stand for, in order of appearance.

    Events of kinds that are not in ``kinds`` are left out, as the kernel leaves them out of a timeline.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> login = Event(event_id="1", user_id="ada", kind="login", occurred_at=noon, received_at=noon)
    >>> columns, user_ids = columns_from_events([login], [Kind(name="login")])
    >>> len(columns), user_ids
    (1, ['ada'])
    """
    index = {kind.name: position for position, kind in enumerate(kinds)}
    codes: dict[str, int] = {}
    rows = [
        (codes.setdefault(event.user_id, len(codes)), index[event.kind], *event_numbers(event)) for event in events if event.kind in index
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, len(fields(EventColumns)))
    columns = [np.ascontiguousarray(column) for column in table.T]
    user, kind, *rest = columns
    named = zip(("occurred_us", "known_us", "skew_us", "event_hash", "subject", "value", "session"), rest, strict=True)
    return EventColumns(user=user, kind=kind.astype(np.int16), **dict(named)), list(codes)


def event_numbers(event: Event) -> tuple[int, int, int, int, int, int, int]:
    """occurred_us, known_us, skew_us, event_hash, subject, value and session of one event."""
    return (
        to_us(event.occurred_at),
        event.known_us,
        event.skew_us,
        event_hash(event),
        0 if event.subject is None else text_hash(event.subject),
        event.value or 0,
        0 if event.session_id is None else text_hash(event.session_id),
    )
