"""Vectors from timelines (online) and from whole logs (batch): two ways in, one row evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from itertools import pairwise
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from features.core.columns import EventColumns, Int64s
from features.core.order import group
from features.core.partition import Cut, Log, Matrix, count_ranges, range_shift, scatter
from features.core.passes import Ranges, pass_over_bytes, pass_over_ranges
from features.core.program import Program
from features.core.row import Instants
from features.core.timeline_format import TimelineFormatError, checked, malformed
from features.core.workspace import Workspace

__all__ = ["batch_vectors", "vector", "vectors"]

Float64s = npt.NDArray[np.float64]
_Array = TypeVar("_Array", bound=npt.NDArray[Any])

_RANGES_AT_ONCE = 8
"""How many ranges of users a thread takes at a time, at most: enough to make the call cheap. Fewer at the end, so that all threads end
together."""
_USERS_A_SHARE = 100
"""Users of a call that are worth a thread: about a millisecond."""
_SLICES = 16
"""Into how many parts the log is cut for reading by several threads."""


def vector(packed: bytes, as_of_us: int, program: Program, *, known_us: int | None = None) -> Float64s:
    """Features of one user at ``as_of_us``, in the order of the catalogue: float64 ``(n_features,)``.

    An event counts iff it was known at ``known_us`` and ``as_of_us - window < occurred_us - skew_us``. ``b""`` is a user of whom
    nothing is known. Kinds that the program does not have are ignored.

    Parameters
    ----------
    known_us
        Up to when events are known; None: up to as_of. An earlier instant asks for the features of an as_of to come, should nothing
        happen until then.

    Raises
    ------
    TimelineFormatError
        If the bytes are no timeline.
    ValueError
        If ``known_us`` lies after as_of.

    Examples
    --------
    >>> from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
    >>> from features.core.program import compile_program
    >>> logins = Feature(aggregation=Aggregation.COUNT, of="login", kinds=("login",))
    >>> vector(b"", 0, compile_program(Catalogue(kinds=(Kind(name="login"),), features=(logins,))))
    array([0.])
    """
    numbers = np.empty((1, program.n_features), dtype=np.float64)
    ends = np.array((0, len(packed)), dtype=np.int64)
    instants = _instants(np.array((as_of_us,), dtype=np.int64), None if known_us is None else np.array((known_us,), dtype=np.int64))
    if pass_over_bytes(np.frombuffer(checked(packed), np.uint8), ends, instants, program.tables, numbers) >= 0:
        raise malformed(len(packed))
    one: Float64s = numbers[0]
    return one


def vectors(packed: Sequence[bytes], as_of_us: Int64s, program: Program, *, known_us: Int64s | None = None, threads: int = 0) -> Float64s:
    """Features of many users, each at its own as_of: float64 ``(n_users, n_features)``; row i is ``vector(packed[i], as_of_us[i])``.

    ``known_us``, one instant for each, is as in `vector`, and ``threads`` as in `batch_vectors`.

    Raises
    ------
    TimelineFormatError
        If the bytes of one user are no timeline; the error says whose (position in ``packed``).
    ValueError
        If there is not one as_of, and known_us, for each timeline, or a known_us lies after its as_of.
    """
    instants = _instants(np.array(as_of_us, dtype=np.int64), known_us)
    if len(packed) != len(as_of_us):
        raise ValueError(f"vectors: got {len(packed)} timelines and {len(as_of_us)} as_of instants, expected one for each timeline")
    numbers = np.empty((len(packed), program.n_features), dtype=np.float64)
    ends = np.zeros(len(packed) + 1, dtype=np.int64)
    np.cumsum([len(one) for one in packed], out=ends[1:])
    for position, one in enumerate(packed):
        _check_one(one, position)
    buffer = np.frombuffer(b"".join(packed), np.uint8)

    def work(low: int, high: int) -> int:
        of_users = (instants[0][low:high], instants[1][low:high])
        return pass_over_bytes(buffer, ends[low : high + 1], of_users, program.tables, numbers[low:high])

    bad = _shared_out(work, len(packed), threads)
    if bad is not None:
        raise TimelineFormatError(f"user {bad} of {len(packed)}: {malformed(len(packed[bad]))}")
    return numbers


def _shared_out(work: Callable[[int, int], int], n_users: int, threads: int) -> int | None:
    """Do the work for the users from one position to before another, many users in several threads.

    Returns the position of the first user of whom the work said, by their position within it, that they cannot be done.
    """
    n_shares = min(threads or int(numba.config.NUMBA_NUM_THREADS), n_users // _USERS_A_SHARE)
    if n_shares <= 1:
        bad = work(0, n_users)
        return bad if bad >= 0 else None
    edges = np.linspace(0, n_users, n_shares + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(n_shares - 1) as pool:
        rest = [pool.submit(work, low, high) for low, high in pairwise(edges[1:])]
        found = [work(edges[0], edges[1]), *(share.result() for share in rest)]
    return next((low + bad for low, bad in zip(edges, found, strict=False) if bad >= 0), None)


def _check_one(packed: bytes, position: int) -> None:
    try:
        checked(packed)
    except TimelineFormatError as error:
        raise type(error)(f"user {position}: {error}") from error


def batch_vectors(  # noqa: PLR0913 - a log, a spine and how to go about it
    columns: EventColumns,
    n_users: int,
    spine_user: Int64s,
    spine_as_of_us: Int64s,
    program: Program,
    *,
    spine_known_us: Int64s | None = None,
    threads: int = 0,
    workspace: Workspace | None = None,
) -> Float64s:
    """Features at every (user, as_of) of a spine, from a whole log: float64 ``(n_rows, n_features)``.

    Row i is what `vector` gives for a timeline of the events of ``spine_user[i]`` known at ``spine_as_of_us[i]``.

    Parameters
    ----------
    columns
        The log; ``columns.kind`` indexes the kinds of the program's catalogue.
    n_users
        User codes are 0 .. n_users - 1, in the log and in the spine.
    spine_known_us
        By row, up to when events are known; None: up to as_of. See `vector`.
    threads
        How many cores to use; 0: all (or what ``NUMBA_NUM_THREADS`` says). The answer does not depend on it.
    workspace
        Memory kept from call to call, for a caller who computes one log after another; see `Workspace`. None: fresh memory.

    Raises
    ------
    ValueError
        If a code of a user or kind is out of range, the spine's arrays differ in length, or a known_us lies after its as_of.
    """
    _check_spine(spine_user, spine_as_of_us, n_users)
    numbers = np.empty((len(spine_user), program.n_features), dtype=np.float64)
    instants, user = _instants(spine_as_of_us, spine_known_us), _frozen(spine_user)
    n_threads = threads or int(numba.config.NUMBA_NUM_THREADS)
    # The pool within: its end waits for those of its threads that still write, also where the call fails.
    with (workspace or Workspace()).lend() as room, ThreadPoolExecutor(n_threads) as pool:
        grouped = pool.submit(group, user, n_users)  # while the others count
        log = _partition(columns, n_users, program, pool, room)
        rows = (instants, *grouped.result())
        some = _portions(len(log[1]) - 1, n_threads)
        list(pool.map(lambda ranges: pass_over_ranges(log, ranges, rows, program.tables, numbers), some))
    return numbers


def _portions(n_ranges: int, n_threads: int) -> Iterator[tuple[int, int]]:
    """Neighbouring ranges, some at a time: the fewer the fewer are left."""
    first = 0
    while first < n_ranges:
        n = min(_RANGES_AT_ONCE, max((n_ranges - first) // (4 * n_threads), 1))
        yield first, first + n
        first += n


def _instants(as_of_us: Int64s, known_us: Int64s | None) -> Instants:
    if known_us is None:
        return _frozen(as_of_us), _frozen(as_of_us)
    if len(known_us) != len(as_of_us):
        raise ValueError(f"known_us: got {len(known_us)} instants for {len(as_of_us)} rows, expected as many")
    late = np.flatnonzero(known_us > as_of_us)
    if len(late):
        row = int(late[0])
        raise ValueError(
            f"row {row}: got known_us {known_us[row]} after as_of_us {as_of_us[row]}, expected known_us <= as_of_us; "
            "what is known only after as_of cannot count at as_of"
        )
    return _frozen(as_of_us), _frozen(np.asarray(known_us, dtype=np.int64))


def _partition(columns: EventColumns, n_users: int, program: Program, pool: ThreadPoolExecutor, room: Callable[[int], Matrix]) -> Ranges:
    """The log as records by range of users, where each range starts, and the shift from users to ranges."""
    shift = range_shift(len(columns), n_users)
    log: Log = tuple(_frozen(getattr(columns, field.name)) for field in fields(columns))
    edges = np.linspace(0, len(columns), _SLICES + 1).astype(np.int64).tolist()
    slices = list(pairwise(edges))
    n_ranges = ((max(n_users, 1) - 1) >> shift) + 1
    counts = np.zeros((_SLICES, n_ranges), dtype=np.int64)
    cut: Cut = (shift, n_users, program.tables.wanted)
    coded = all(pool.map(lambda i: count_ranges(log, slices[i], cut, counts[i]), range(_SLICES)))
    places = np.cumsum(np.concatenate(([0], counts.T.ravel())))  # by range and, within it, by slice: the log's own order
    free = places[:-1].reshape(n_ranges, _SLICES).T.copy()
    records = room(int(places[-1]))
    if not (coded and all(pool.map(lambda i: scatter(log, slices[i], cut, free[i], records), range(_SLICES)))):
        columns.check(n_users, len(program.catalogue.kinds))
    return records, places[::_SLICES].copy(), shift


def _check_spine(spine_user: Int64s, spine_as_of_us: Int64s, n_users: int) -> None:
    if len(spine_user) != len(spine_as_of_us):
        raise ValueError(f"spine: got {len(spine_user)} users and {len(spine_as_of_us)} as_of instants, expected as many")
    if len(spine_user) and not (spine_user.min() >= 0 and spine_user.max() < n_users):
        raise ValueError(f"spine: got user codes {spine_user.min()} .. {spine_user.max()}, expected 0 .. {n_users - 1}")


def _frozen(array: _Array) -> _Array:
    """Contiguous and read-only, so that the compiler sees one type whether the caller owns the memory or Arrow does."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view  # type: ignore[return-value]
