"""The bytes of a timeline: fixed layout, columns coded as differences from their least value, checksum at the end.

Readers read every version below, writers write the newest. All integers little-endian, columns as in
`features.core.column_coding`. Every version begins with magic and version and ends with the checksum, so that a version yet to
come is told from a corrupted byte. Version 2::

    magic "SHT", version u8
    one column of five numbers: n_kinds, n_let_go, n_events, n_subjects, n_sessions
    columns of the kinds:   name hash, number of events      (ascending by hash)
    columns of the let-go:  index of the kind, occurred_us, event_hash    (one each for the kinds that ever let one go; if any did)
    columns of the events:  occurred_us, event_hash, known_us - (occurred_us - skew_us), skew_us, value, subject, session
    columns of the texts:   subject hashes, session hashes    (ascending; an event's 0 is none, its i is the i-th of them)
    checksum u64: xxh3 of all bytes before it

Version 1 differs in three things: the five numbers are u32 each, no column has exceptions, and the columns of the let-go are
there also when they are empty. It takes a sixth more for 200 events, a twelfth more for 10.

Events are in order (kind hash, occurred_us, event_hash). Equal timelines have equal bytes in one version; no event is no bytes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xxhash

from features.core.column_coding import MAX_COLUMN_OVERHEAD, load, read_column, write_column
from features.core.columns import Int64s
from features.core.compiled import borrowing, compiled, inlined
from features.core.layout import (
    HASH,
    KIND,
    KNOWN,
    LET_GO_HASH,
    LET_GO_KIND,
    LET_GO_OCCURRED,
    N_LET_GO,
    N_PROPERTIES,
    OCCURRED,
    SESSION,
    SKEW,
    SUBJECT,
    VALUE,
)

FORMAT_VERSION = 2
OLDEST_VERSION = 1
MAGIC = b"SHT"
HEADER_BYTES = 24
"""Of version 1; no timeline of any version is shorter than this and a checksum."""
CHECKSUM_BYTES = 8
_VERSION_AT = 3
_SIZES_AT = 4
_BEGINNING = MAGIC + bytes([FORMAT_VERSION])

Bytes = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.int64]

_FOUR_BYTES = 0xFFFF_FFFF
_NEVER = np.iinfo(np.int64).min
N_SIZES = 5


class TimelineFormatError(ValueError):
    """These bytes are no timeline that this release can read."""


class NewerTimelineFormatError(TimelineFormatError):
    """These bytes are a timeline that a newer release wrote: nothing is wrong with them, and that release reads them."""


def checked(packed: bytes) -> bytes:
    """The same bytes, once magic, version and checksum are right; the rest is checked where it is read.

    Raises
    ------
    NewerTimelineFormatError
        If the bytes are whole and written by a newer release.
    TimelineFormatError
        If the bytes are truncated, corrupted, or something else.
    """
    if not packed:
        return packed
    size = len(packed)
    if size < HEADER_BYTES + CHECKSUM_BYTES or packed[:_VERSION_AT] != MAGIC:
        raise TimelineFormatError(
            f"timeline: got {size} bytes beginning {packed[:4].hex()}, expected at least {HEADER_BYTES + CHECKSUM_BYTES} bytes beginning "
            f"{MAGIC.hex()}; it was truncated or is something else: run `stillhere rebuild USER_ID`"
        )
    if xxhash.xxh3_64_intdigest(memoryview(packed)[:-CHECKSUM_BYTES]) != int.from_bytes(packed[-CHECKSUM_BYTES:], "little"):
        raise TimelineFormatError(
            f"timeline: the checksum of {size} bytes does not match; they were truncated or corrupted: "
            "run `stillhere rebuild USER_ID`, which makes it again from the raw log"
        )
    if packed[_VERSION_AT] > FORMAT_VERSION:
        raise NewerTimelineFormatError(
            f"timeline: got format version {packed[_VERSION_AT]}, expected {OLDEST_VERSION} to {FORMAT_VERSION}; "
            "it was written by a newer version of Stillhere: upgrade this process"
        )
    if packed[_VERSION_AT] < OLDEST_VERSION:
        raise malformed(size)
    return packed


def encode(events: Matrix, let_go: Matrix) -> bytes:
    """Bytes of canonical events (int64[8, n]) and let-go keys (int64[3, m]), as `retention.retain` returns them."""
    if events.shape[1] == 0 and let_go.shape[1] == 0:
        return b""
    kinds = np.union1d(events[KIND], let_go[LET_GO_KIND])
    subjects, sessions = _texts(events[SUBJECT]), _texts(events[SESSION])
    content = _BEGINNING + _written(events, let_go, (kinds, subjects, sessions)).tobytes()
    return content + xxhash.xxh3_64_intdigest(content).to_bytes(CHECKSUM_BYTES, "little")


def decode(packed: bytes) -> tuple[Matrix, Matrix]:
    """Canonical events and let-go keys of the bytes; the inverse of `encode`.

    Raises
    ------
    TimelineFormatError
        If the bytes are not exactly what `encode` writes.
    """
    if not packed:
        return np.empty((N_PROPERTIES, 0), np.int64), np.empty((N_LET_GO, 0), np.int64)
    read, events, let_go = _read(np.frombuffer(checked(packed), np.uint8))
    if not read:
        raise malformed(len(packed))
    return events, let_go


def summarise(packed: bytes) -> tuple[int, int, int | None]:
    """How many events the bytes hold, the greatest known_us of them (0: none) and from when on nothing is missing (None: ever).

    As `decode` reads them, and refused as there, at a third of the cost: no event is written out.

    Raises
    ------
    TimelineFormatError
        If the bytes are not exactly what `encode` writes.

    Examples
    --------
    >>> summarise(b"")
    (0, 0, None)
    """
    if not packed:
        return 0, 0, None
    n_events, newest_known_us, newest_let_go_us = _summary(np.frombuffer(checked(packed), np.uint8))
    if n_events < 0:
        raise malformed(len(packed))
    return n_events, newest_known_us, None if newest_let_go_us == _NEVER else newest_let_go_us + 1


def malformed(size: int) -> TimelineFormatError:
    """The error for bytes whose checksum is right and whose content is not."""
    return TimelineFormatError(
        f"timeline: {size} bytes with a right checksum whose columns do not fit together; another program wrote them: "
        "run `stillhere rebuild USER_ID`, which makes it again from the raw log"
    )


@borrowing
def read_sizes(buffer: Bytes, low: int, high: int, sizes: Int64s) -> bool:
    """Fill ``sizes`` with n_kinds, n_let_go, n_events, n_subjects, n_sessions; False if there cannot be as many."""
    if _read_sizes(buffer, low, high - CHECKSUM_BYTES, sizes) < 0:
        return False
    for size in sizes:
        if size < 0 or size > high - low:
            return False
    right: bool = sizes[3] <= sizes[2] and sizes[4] <= sizes[2]
    return right


@borrowing
def _read_sizes(buffer: Bytes, low: int, stop: int, sizes: Int64s) -> int:
    """The position after them, -1 if they do not fit."""
    if buffer[low + _VERSION_AT] > 1:
        return read_column(buffer, low + _SIZES_AT, stop, sizes)
    for i in range(N_SIZES):
        sizes[i] = load(buffer, low + _SIZES_AT + 4 * i) & _FOUR_BYTES
    return low + HEADER_BYTES


@borrowing
def read_events(buffer: Bytes, bounds: tuple[int, int], sizes: Int64s, tables: tuple[Matrix, Matrix], records: Matrix) -> int:
    """Fill kinds (2 rows), let-go keys (3 rows) and records (a row each); the position after them, or -1 if they do not fit.

    KIND of the events and LET_GO_KIND are indices in the table of kinds; SUBJECT and SESSION are 0 or 1 + the index of a text.
    """
    low, high = bounds
    stop = high - CHECKSUM_BYTES
    kinds, let_go = tables
    at = _read_sizes(buffer, low, stop, sizes)
    for row in range(2):
        at = read_column(buffer, at, stop, kinds[row, : sizes[0]])
    for row in range(N_LET_GO if sizes[1] > 0 or buffer[low + _VERSION_AT] == 1 else 0):
        at = read_column(buffer, at, stop, let_go[row, : sizes[1]])
    for place in (OCCURRED, HASH, KNOWN, SKEW, VALUE, SUBJECT, SESSION):
        at = read_column(buffer, at, stop, records[: sizes[2], place])
    if at < 0 or not _spread_kinds(kinds, sizes, records):
        return -1
    return at if _finish_records(sizes, let_go, records) else -1


@borrowing
def _spread_kinds(kinds: Matrix, sizes: Int64s, records: Matrix) -> bool:
    position = 0
    for kind in range(sizes[0]):
        count = kinds[1, kind]
        if count < 0 or count > sizes[2] - position:
            return False
        for _ in range(count):
            records[position, KIND] = kind
            position += 1
    complete: bool = position == sizes[2]
    return complete


@borrowing
def _finish_records(sizes: Int64s, let_go: Matrix, records: Matrix) -> bool:
    right = True
    for i in range(sizes[2]):
        right &= records[i, KNOWN] >= 0 and records[i, SKEW] >= 0
        right &= 0 <= records[i, SUBJECT] <= sizes[3] and 0 <= records[i, SESSION] <= sizes[4]
        records[i, KNOWN] += records[i, OCCURRED] - records[i, SKEW]
    for i in range(sizes[1]):
        right &= 0 <= let_go[LET_GO_KIND, i] < sizes[0]
    return right


@compiled
def _summary(buffer: Bytes) -> tuple[int, int, int]:
    """Number of events (-1: the bytes do not fit), newest known_us, newest occurred_us let go (_NEVER: none was)."""
    read, _, let_go, records, _ = _read_all(buffer)
    if not read:
        return -1, 0, 0
    newest_known_us, newest_let_go_us = 0, _NEVER
    for i in range(len(records)):
        newest_known_us = max(newest_known_us, records[i, KNOWN])
    for i in range(let_go.shape[1]):
        newest_let_go_us = max(newest_let_go_us, let_go[LET_GO_OCCURRED, i])
    return len(records), int(newest_known_us), int(newest_let_go_us)


@inlined
def _read_all(buffer: Bytes) -> tuple[bool, Matrix, Matrix, Matrix, Matrix]:
    """Whether the bytes fit; kinds, let-go keys, records and texts as they are coded."""
    sizes = np.empty(N_SIZES, np.int64)
    if not read_sizes(buffer, 0, len(buffer), sizes):
        none = np.empty((0, 0), np.int64)
        return False, none, none, none, none
    kinds, let_go = np.empty((2, sizes[0]), np.int64), np.empty((N_LET_GO, sizes[1]), np.int64)
    records = np.empty((sizes[2], N_PROPERTIES), np.int64)
    at = read_events(buffer, (0, len(buffer)), sizes, (kinds, let_go), records)
    texts = np.zeros((2, max(sizes[3], sizes[4]) + 1), np.int64)
    for row in range(2):
        at = read_column(buffer, at, len(buffer) - CHECKSUM_BYTES, texts[row, 1 : sizes[3 + row] + 1])
    return at == len(buffer) - CHECKSUM_BYTES, kinds, let_go, records, texts


@compiled
def _read(buffer: Bytes) -> tuple[bool, Matrix, Matrix]:
    read, kinds, let_go, records, texts = _read_all(buffer)
    if not read:
        return False, records, let_go
    for i in range(let_go.shape[1]):
        let_go[LET_GO_KIND, i] = kinds[0, let_go[LET_GO_KIND, i]]
    return True, _decoded(records, kinds[0], texts), let_go


@inlined
def _decoded(records: Matrix, kind_hashes: Int64s, texts: Matrix) -> Matrix:
    """Properties as rows, hashes instead of codes."""
    events = np.empty((N_PROPERTIES, len(records)), np.int64)
    for i in range(len(records)):
        for row in (OCCURRED, HASH, KNOWN, SKEW, VALUE):
            events[row, i] = records[i, row]
        events[KIND, i] = kind_hashes[records[i, KIND]]
        events[SUBJECT, i] = texts[0, records[i, SUBJECT]]
        events[SESSION, i] = texts[1, records[i, SESSION]]
    return events


@compiled
def _written(events: Matrix, let_go: Matrix, tables: tuple[Int64s, Int64s, Int64s]) -> Bytes:
    kinds, subjects, sessions = tables
    n, m, k = events.shape[1], let_go.shape[1], len(kinds)
    out = np.empty((k * 2 + m * 3 + n * 7 + len(subjects) + len(sessions)) * 8 + 15 * MAX_COLUMN_OVERHEAD + 8 * N_SIZES, np.uint8)
    at = write_column(out, 0, np.array((k, m, n, len(subjects), len(sessions)), dtype=np.int64))
    at = write_column(out, at, kinds)
    at = write_column(out, at, _counts(kinds, events))
    if m > 0:
        at = write_column(out, at, np.searchsorted(kinds, let_go[LET_GO_KIND]))
        at = write_column(out, at, let_go[LET_GO_OCCURRED])
        at = write_column(out, at, let_go[LET_GO_HASH])
    at = write_column(out, at, events[OCCURRED])
    at = write_column(out, at, events[HASH])
    at = write_column(out, at, events[KNOWN] - (events[OCCURRED] - events[SKEW]))
    at = write_column(out, at, events[SKEW])
    at = write_column(out, at, events[VALUE])
    at = write_column(out, at, _codes(subjects, events[SUBJECT]))
    at = write_column(out, at, _codes(sessions, events[SESSION]))
    at = write_column(out, at, subjects)
    at = write_column(out, at, sessions)
    written: Bytes = out[:at]
    return written


@inlined
def _counts(kinds: Int64s, events: Matrix) -> Int64s:
    counts = np.zeros(len(kinds), np.int64)
    kind = 0
    for i in range(events.shape[1]):
        while kinds[kind] != events[KIND, i]:
            kind += 1
        counts[kind] += 1
    return counts


@inlined
def _codes(texts: Int64s, hashes: Int64s) -> Int64s:
    codes = np.zeros(len(hashes), np.int64)
    for i in range(len(hashes)):
        if hashes[i] != 0:
            codes[i] = np.searchsorted(texts, hashes[i]) + 1
    return codes


def _texts(hashes: Int64s) -> Int64s:
    """Distinct hashes in ascending order, without the 0 of "none"."""
    some: Int64s = np.unique(hashes[hashes != 0])
    return some
