"""One vector, compiled: the row evaluator that the online and the batch path share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Aggregation
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, shared
from features.core.layout import EFFECTIVE, KNOWN
from features.core.order import lower_bound
from features.core.parameters import AGGREGATION
from features.core.program import AGGREGATIONS, Tables
from features.core.scans import fill_scans
from features.core.statistics import MICROSECONDS, SUBJECTS, Desk, days_of, different, streak_days, sum_of, take_stock
from features.core.user import ALWAYS, User

Matrix = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Instants = tuple[Int64s, Int64s]
"""By row, as_of_us and the instant up to which events are known."""
Asked = tuple[Places, Instants]
"""The rows of one user, and the instants of all rows."""

_COUNT = AGGREGATIONS.index(Aggregation.COUNT)
_SUM = AGGREGATIONS.index(Aggregation.SUM)
_DISTINCT_SUBJECTS = AGGREGATIONS.index(Aggregation.DISTINCT_SUBJECTS)
_ACTIVE_DAYS = AGGREGATIONS.index(Aggregation.ACTIVE_DAYS)
_SECONDS_SINCE_LAST = AGGREGATIONS.index(Aggregation.SECONDS_SINCE_LAST)
_STREAK_DAYS = AGGREGATIONS.index(Aggregation.STREAK_DAYS)


@shared
def evaluate(asked: Asked, user: User, machine: tuple[Tables, Desk], vectors: Float64s) -> None:
    """Fill the rows of ``vectors`` that are those of ``user``.

    A row has the features at its first instant, from what was known at its second. Most rows see every one of the user's first
    events: nothing that had happened was still on its way. One stock serves them all. Then come the others, each with its own.
    ``user`` has whatever was known at the newest of the rows.
    """
    rows, (as_of_us, known_us) = asked
    tables, desk = machine
    common = _find_windows(asked, user, tables, desk)
    for own in range(-1, len(rows)):  # one loop: what is called in one place is inlined, and passing all tables takes time
        n_events = common if own < 0 else _own_events(own, known_us[rows[own]], user, tables, desk)
        if n_events < 0:
            continue
        take_stock(user, n_events, ALWAYS if own < 0 else known_us[rows[own]], tables, desk)
        for i in range(max(own, 0), len(rows) if own < 0 else own + 1):
            if own >= 0 or _sees_first(desk.position[i], known_us[rows[i]], user):
                _open_windows(desk.position[i], desk)
                _answer(as_of_us[rows[i]], user.events, tables, desk, vectors[rows[i]])


@borrowing
def newest(asked: Asked) -> int:
    """The newest instant up to which a row, of which there is one at least, asks for events."""
    rows, (_, known_us) = asked
    newest_us: int = known_us[rows[0]]
    for row in rows:
        newest_us = max(newest_us, known_us[row])
    return newest_us


@borrowing
def _find_windows(asked: Asked, user: User, tables: Tables, desk: Desk) -> int:
    """Fill ``desk.position``; mark what the rows that see all first events ask for, and return how many they see, -1 if none does."""
    rows, (as_of_us, known_us) = asked
    n_windows, common = len(tables.window_us), np.int64(-1)
    for i in range(len(rows)):
        row, position = rows[i], desk.position[i]
        n_events = lower_bound(user.events[EFFECTIVE, : user.n], known_us[row] + 1)
        position[n_windows] = n_events
        for window in range(n_windows):
            position[window] = lower_bound(user.events[EFFECTIVE, :n_events], as_of_us[row] - tables.window_us[window] + 1)
        if _sees_first(position, known_us[row], user):
            _mark(position, desk)
            common = max(common, np.int64(n_events))
    return common  # type: ignore[return-value]


@borrowing
def _sees_first(position: Places, known_us: int, user: User) -> bool:
    """Whether the row sees every one of the events that had happened."""
    first: bool = not user.overflows and user.known_by[position[len(position) - 1]] <= known_us
    return first


@borrowing
def _mark(position: Places, desk: Desk) -> None:
    for n_events in position:
        desk.marked[n_events] = True


@borrowing
def _own_events(i: int, known_us: int, user: User, tables: Tables, desk: Desk) -> int:
    """Choose and mark what the user's row ``i`` sees, and return among how many first events; -1 if it has its answer already."""
    position = desk.position[i]
    if _sees_first(position, known_us, user):
        return np.int64(-1)  # type: ignore[return-value]
    if user.overflows:
        _choose(known_us, user, tables, desk.clock[0])
    _mark(position, desk)
    return np.int64(position[len(position) - 1])  # type: ignore[return-value]


@borrowing
def _answer(as_of_us: int, events: Matrix, tables: Tables, desk: Desk, vector: Float64s) -> None:
    """Fill ``vector`` from the stock."""
    _fill_counts(tables, desk, vector)
    _fill_sums(tables, desk, vector)
    _fill_different(tables, desk, vector)
    _fill_days(tables, desk, vector)
    _fill_times(as_of_us, events, tables, desk, vector)
    _fill_streaks(as_of_us, events, tables, desk, vector)
    if tables.feature_start[_STREAK_DAYS + 1] < len(tables.feature_column):
        fill_scans(as_of_us, events, tables, desk, vector)


@borrowing
def _choose(known_us: int, user: User, tables: Tables, stamp: int) -> None:
    """Stamp the newest ``keep`` and the oldest ``keep_first`` known events of the kinds that have more."""
    for kind in range(len(tables.keep)):
        low, high = user.kind_start[kind], user.kind_start[kind + 1]
        keep, keep_first = tables.keep[kind], tables.keep_first[kind]
        if high - low <= keep + keep_first:
            continue
        i = high - 1
        while i >= low and keep > 0:
            event = user.kind_place[i]
            if user.events[KNOWN, event] <= known_us:
                user.chosen[event] = stamp
                keep -= 1
            i -= 1
        i = low
        while i < high and keep_first > 0:
            event = user.kind_place[i]
            if user.events[KNOWN, event] <= known_us:
                user.chosen[event] = stamp
                keep_first -= 1
            i += 1


@borrowing
def _open_windows(position: Places, desk: Desk) -> None:
    """Where each window begins in each kind set, and where the sets end."""
    n_windows, n_sets = len(position) - 1, desk.rank.shape[1]
    for window in range(n_windows):
        for kind_set in range(n_sets):
            desk.start[window * n_sets + kind_set] = desk.rank[position[window], kind_set]
    for kind_set in range(n_sets):
        desk.end[kind_set] = desk.rank[position[n_windows], kind_set]


@borrowing
def _fill_counts(tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_COUNT], tables.feature_start[_COUNT + 1]):
        kind_set = tables.feature_set[feature]
        vector[tables.feature_column[feature]] = np.int64(desk.end[kind_set]) - np.int64(desk.start[tables.feature_slot[feature]])


@borrowing
def _fill_sums(tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_SUM], tables.feature_start[_SUM + 1]):
        start, end = desk.start[tables.feature_slot[feature]], desk.end[tables.feature_set[feature]]
        vector[tables.feature_column[feature]] = sum_of(start, end, desk)


@borrowing
def _fill_different(tables: Tables, desk: Desk, vector: Float64s) -> None:
    """Subjects and sessions: the aggregations stand in the order of `statistics.SUBJECTS` and `statistics.SESSIONS`."""
    for feature in range(tables.feature_start[_DISTINCT_SUBJECTS], tables.feature_start[_ACTIVE_DAYS]):
        texts = np.uint64(tables.parameters.numbers[feature, AGGREGATION] - _DISTINCT_SUBJECTS + SUBJECTS)
        start, end = desk.start[tables.feature_slot[feature]], desk.end[tables.feature_set[feature]]
        vector[tables.feature_column[feature]] = different(texts, start, end, desk)  # type: ignore[arg-type]


@borrowing
def _fill_days(tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_ACTIVE_DAYS], tables.feature_start[_ACTIVE_DAYS + 1]):
        start, end = desk.start[tables.feature_slot[feature]], desk.end[tables.feature_set[feature]]
        vector[tables.feature_column[feature]] = days_of(start, end, desk)


@borrowing
def _fill_times(as_of_us: int, events: Matrix, tables: Tables, desk: Desk, vector: Float64s) -> None:
    """Seconds since the newest and since the oldest event."""
    for feature in range(tables.feature_start[_SECONDS_SINCE_LAST], tables.feature_start[_STREAK_DAYS]):
        start, end = desk.start[tables.feature_slot[feature]], desk.end[tables.feature_set[feature]]
        place = end - 1 if tables.parameters.numbers[feature, AGGREGATION] == _SECONDS_SINCE_LAST else start
        seconds = np.nan if start == end else (as_of_us - events[EFFECTIVE, desk.sequence[place]]) / MICROSECONDS
        vector[tables.feature_column[feature]] = seconds


@borrowing
def _fill_streaks(as_of_us: int, events: Matrix, tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_STREAK_DAYS], tables.feature_start[_STREAK_DAYS + 1]):
        kind_set = tables.feature_set[feature]
        start, end = desk.start[tables.feature_slot[feature]], desk.end[kind_set]
        vector[tables.feature_column[feature]] = streak_days(events, desk.sequence[start:end], as_of_us)
