"""One column of integers as bytes, compiled: differences from the least value, in as few bytes as most of them need.

``u8`` width in bytes of a value (low half) and scale (high half); ``u8`` width of the least value (low half) and further width of
the exceptions (high half); the least value; if there are exceptions, ``u16`` their number; every value as ``(value - least) /
scale``, little-endian, of the exceptions only the low bytes; then each exception: ``u8`` its distance from the one before (of the
first: from the beginning) and its high bytes.

The column is as short as it can be: of equally short ways the one with the fewest exceptions counts. A width of 8 has least 0,
scale 1 and no exceptions; a constant column has width 0. The scales are the units of time in microseconds, which is what makes
instants short; exceptions are what keeps one late event from widening all the others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s
from features.core.compiled import borrowing, shared

Bytes = npt.NDArray[np.uint8]

WIDEST = 8
MAX_COLUMN_OVERHEAD = 12
MOST_EXCEPTIONS = 0xFFFF
MOST_APART = 255
_SCALES = np.array([1, 1_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000], np.int64)
_MASKS = np.array([0, *((1 << 8 * width) - 1 for width in range(1, WIDEST)), -1], np.int64)


@borrowing
def load(buffer: Bytes, at: int) -> int:
    """Eight bytes as a signed integer; the checksum at the end makes it safe to read past a column."""
    first = np.uint64(at)  # unsigned: numba then knows that it is no index from the end, and makes one load of the loop
    loaded = np.int64(0)
    for i in range(8):
        loaded |= np.int64(buffer[first + np.uint64(i)]) << (8 * i)
    return loaded  # type: ignore[return-value]


@shared
def read_column(buffer: Bytes, at: int, stop: int, values: Int64s) -> int:
    """Fill ``values``; the position after the column, or -1 if it cannot be one (also if ``at`` already was -1)."""
    if at < 0 or at + 2 > stop:
        return -1
    width, scale = buffer[at] & 15, buffer[at] >> 4
    least_width, more = buffer[at + 1] & 15, buffer[at + 1] >> 4
    body: int = at + 2 + least_width
    if width + more > WIDEST or least_width > WIDEST or scale >= len(_SCALES) or body > stop:
        return -1
    n_exceptions = 0
    if more > 0:
        n_exceptions = load(buffer, body) & MOST_EXCEPTIONS
        body += 2
    end = body + len(values) * width
    if end + n_exceptions * (1 + more) > stop:
        return -1
    least = _sign_extended(load(buffer, at + 2), least_width)
    _read_body(buffer, body, (width, least, _SCALES[scale]), values)
    return _read_exceptions(buffer, end, (n_exceptions, more), _SCALES[scale] << 8 * width, values)


@borrowing
def _read_body(buffer: Bytes, at: int, frame: tuple[int, int, int], values: Int64s) -> None:
    width, least, factor = frame
    if width == 0:
        values[:] = least
        return
    mask = _MASKS[width]
    for i in range(len(values)):
        values[i] = least + (load(buffer, at + i * width) & mask) * factor


@borrowing
def _read_exceptions(buffer: Bytes, at: int, shape: tuple[int, int], factor: int, values: Int64s) -> int:
    """Add the high bytes to those that have some; the position after the column, or -1 if one lies outside."""
    n_exceptions, more = shape
    place = 0
    for _ in range(n_exceptions):
        place += buffer[at]
        if place >= len(values):
            return -1
        values[place] += (load(buffer, at + 1) & _MASKS[more]) * factor
        at += 1 + more
    return at


@borrowing
def _sign_extended(loaded: int, width: int) -> int:
    unused = 64 - 8 * width
    return 0 if width == 0 else (loaded << unused) >> unused


@shared
def write_column(out: Bytes, at: int, values: Int64s) -> int:
    """Write the column at ``at``; the position after it."""
    least, full_width, scale = _frame(values)
    width, n_exceptions = _narrowed(values, least, full_width, _SCALES[scale])
    more = full_width - width
    least_width = 0 if width == WIDEST else _signed_width(least)
    out[at] = width | scale << 4
    out[at + 1] = least_width | more << 4
    _store(out, at + 2, least, least_width)
    at += 2 + least_width
    if more > 0:
        _store(out, at, n_exceptions, 2)
        at += 2
    for i in range(len(values)):
        _store(out, at + i * width, (values[i] - least) // _SCALES[scale] if width < WIDEST else values[i], width)
    at += len(values) * width
    return _write_exceptions(out, at, values, (least, _SCALES[scale], width, more)) if more > 0 else at


@borrowing
def _write_exceptions(out: Bytes, at: int, values: Int64s, frame: tuple[int, int, int, int]) -> int:
    least, factor, width, more = frame
    before = 0
    for i in range(len(values)):
        high = (values[i] - least) // factor >> 8 * width
        if high > 0:
            out[at] = i - before
            _store(out, at + 1, high, more)
            before = i
            at += 1 + more
    return at


@borrowing
def _narrowed(values: Int64s, least: int, full_width: int, factor: int) -> tuple[int, int]:
    """Width that makes the column shortest, and how many values are then exceptions."""
    if full_width == WIDEST:
        return full_width, 0
    best, best_width, best_exceptions = len(values) * full_width, full_width, 0
    for less in range(1, full_width + 1):
        width = full_width - less
        n_exceptions = _count_exceptions(values, least + _MASKS[width] * factor)
        size = len(values) * width + 2 + n_exceptions * (1 + less)
        if 0 <= n_exceptions <= MOST_EXCEPTIONS and size < best:
            best, best_width, best_exceptions = size, width, n_exceptions
    return best_width, best_exceptions


@borrowing
def _count_exceptions(values: Int64s, most: int) -> int:
    """How many values are greater than ``most``; -1 if two of them lie too far from one another."""
    n, before = 0, 0
    for i in range(len(values)):
        if values[i] > most:
            if i - before > MOST_APART:
                return -1
            n, before = n + 1, i
    return n


@borrowing
def _frame(values: Int64s) -> tuple[int, int, int]:
    """Least value, width in bytes of the greatest difference, and scale."""
    if len(values) == 0:
        return 0, 0, 0
    least, most = values[0], values[0]
    for value in values:
        least, most = min(least, value), max(most, value)
    span = most - least
    if span < 0 or span > _MASKS[7]:  # negative: wider than int64
        return 0, WIDEST, 0
    scale = len(_SCALES) - 1 if span > 0 else 0
    while scale > 0 and not _divides(_SCALES[scale], least, values):
        scale -= 1
    return least, _unsigned_width(span // _SCALES[scale]), scale


@borrowing
def _divides(scale: int, least: int, values: Int64s) -> bool:
    for value in values:  # noqa: SIM110 - numba compiles loops, not generators
        if (value - least) % scale != 0:
            return False
    return True


@borrowing
def _unsigned_width(value: int) -> int:
    width = 0
    while value > _MASKS[width]:
        width += 1
    return width


@borrowing
def _signed_width(value: int) -> int:
    if value == 0:
        return 0
    width = 1
    while width < WIDEST and not -(1 << (8 * width - 1)) <= value < 1 << (8 * width - 1):
        width += 1
    return width


@borrowing
def _store(out: Bytes, at: int, value: int, width: int) -> None:
    for i in range(width):
        out[at + i] = (value >> (8 * i)) & 255
