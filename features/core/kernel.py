"""Vectors from timelines (online) and from whole logs (batch): two ways in, one row evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import numpy.typing as npt

from features.core.columns import EventColumns, Int64s
from features.core.order import group
from features.core.passes import pass_over_bytes, pass_over_log
from features.core.program import Program
from features.core.timeline_format import TimelineFormatError, checked, malformed

__all__ = ["batch_vectors", "vector", "vectors"]

Float64s = npt.NDArray[np.float64]

_CHUNKS_PER_THREAD = 8
"""Small enough that no thread waits long for the last chunk of another."""


def vector(packed: bytes, as_of_us: int, program: Program) -> Float64s:
    """Features of one user at ``as_of_us``, in the order of the catalogue: float64 ``(n_features,)``.

    An event counts iff ``known_us <= as_of_us`` and ``as_of_us - window < occurred_us - skew_us``. ``b""`` is a user of whom
    nothing is known. Kinds that the program does not have are ignored.

    Raises
    ------
    TimelineFormatError
        If the bytes are no timeline.

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
    if pass_over_bytes(np.frombuffer(checked(packed), np.uint8), ends, np.array((as_of_us,), dtype=np.int64), program.tables, numbers) >= 0:
        raise malformed(len(packed))
    return numbers[0]


def vectors(packed: Sequence[bytes], as_of_us: Int64s, program: Program) -> Float64s:
    """Features of many users, each at its own as_of: float64 ``(n_users, n_features)``; row i is ``vector(packed[i], as_of_us[i])``.

    Raises
    ------
    TimelineFormatError
        If the bytes of one user are no timeline; the error says whose (position in ``packed``).
    ValueError
        If there is not one as_of for each timeline.
    """
    if len(packed) != len(as_of_us):
        raise ValueError(f"vectors: got {len(packed)} timelines and {len(as_of_us)} as_of instants, expected one for each timeline")
    numbers = np.empty((len(packed), program.n_features), dtype=np.float64)
    ends = np.zeros(len(packed) + 1, dtype=np.int64)
    np.cumsum([len(one) for one in packed], out=ends[1:])
    for position, one in enumerate(packed):
        _check_one(one, position)
    bad = pass_over_bytes(np.frombuffer(b"".join(packed), np.uint8), ends, np.array(as_of_us, dtype=np.int64), program.tables, numbers)
    if bad >= 0:
        raise TimelineFormatError(f"user {bad} of {len(packed)}: {malformed(len(packed[bad]))}")
    return numbers


def _check_one(packed: bytes, position: int) -> None:
    try:
        checked(packed)
    except TimelineFormatError as error:
        raise TimelineFormatError(f"user {position}: {error}") from error


def batch_vectors(
    columns: EventColumns, n_users: int, spine_user: Int64s, spine_as_of_us: Int64s, program: Program, *, threads: int = 0
) -> Float64s:
    """Features at every (user, as_of) of a spine, from a whole log: float64 ``(n_rows, n_features)``.

    Row i is what `vector` gives for a timeline of the events of ``spine_user[i]`` known at ``spine_as_of_us[i]``.

    Parameters
    ----------
    columns
        The log; ``columns.kind`` indexes the kinds of the program's catalogue.
    n_users
        User codes are 0 .. n_users - 1, in the log and in the spine.
    threads
        How many cores to use; 0: all (or what ``NUMBA_NUM_THREADS`` says). The answer does not depend on it.

    Raises
    ------
    ValueError
        If a code of a user or kind is out of range, or the spine's arrays differ in length.
    """
    _check_codes(columns, n_users, spine_user, spine_as_of_us, program)
    numbers = np.empty((len(spine_user), program.n_features), dtype=np.float64)
    log = tuple(
        _frozen(getattr(columns, name))
        for name in ("kind", "occurred_us", "event_hash", "known_us", "skew_us", "subject", "value", "session")
    )
    event_groups = group(_frozen(columns.user), n_users)
    row_groups = group(_frozen(spine_user), n_users)
    as_of_us = _frozen(spine_as_of_us)

    def run(users: tuple[int, int]) -> None:
        pass_over_log(users, (log, event_groups), (as_of_us, row_groups), program.tables, numbers)

    threads = threads or int(numba.config.NUMBA_NUM_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, _chunks(event_groups[0], threads * _CHUNKS_PER_THREAD)))
    return numbers


def _check_codes(columns: EventColumns, n_users: int, spine_user: Int64s, spine_as_of_us: Int64s, program: Program) -> None:
    if len(spine_user) != len(spine_as_of_us):
        raise ValueError(f"spine: got {len(spine_user)} users and {len(spine_as_of_us)} as_of instants, expected as many")
    n_kinds = len(program.catalogue.kinds)
    for what, codes, limit in (("log user", columns.user, n_users), ("spine user", spine_user, n_users), ("log kind", columns.kind, n_kinds)):
        if len(codes) and not (0 <= codes.min() and codes.max() < limit):
            raise ValueError(f"{what} codes: got {codes.min()} .. {codes.max()}, expected 0 .. {limit - 1}")


def _frozen(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Contiguous and read-only, so that the compiler sees one type whether the caller owns the memory or Arrow does."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _chunks(start: Int64s, n_chunks: int) -> list[tuple[int, int]]:
    """Ranges of users with about equally many events each."""
    n_users = len(start) - 1
    targets = np.linspace(0, start[-1], n_chunks + 1)[1:-1]
    edges = sorted({0, n_users, *np.searchsorted(start, targets).tolist()})
    return [(low, high) for low, high in zip(edges[:-1], edges[1:], strict=True) if low < high]
