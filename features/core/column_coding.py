"""One column of integers as bytes, compiled: differences from the least value, in as few bytes as the widest needs.

``u8`` width in bytes of a value (low half) and scale (high half), ``u8`` width of the least value, the least value, then
every value as ``(value - least) / scale``, little-endian. A width of 8 has least 0 and scale 1; a constant column has width
0. The scales are the units of time in microseconds, which is what makes instants short.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s
from features.core.compiled import borrowing

Bytes = npt.NDArray[np.uint8]

WIDEST = 8
MAX_COLUMN_OVERHEAD = 10
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


@borrowing
def read_column(buffer: Bytes, at: int, stop: int, values: Int64s) -> int:
    """Fill ``values``; the position after the column, or -1 if it cannot be one (also if ``at`` already was -1)."""
    if at < 0 or at + 2 > stop:
        return -1
    width: int = buffer[at] & 15
    scale: int = buffer[at] >> 4
    least_width: int = buffer[at + 1]
    body = at + 2 + least_width
    end = body + len(values) * width
    if width > WIDEST or least_width > WIDEST or scale >= len(_SCALES) or end > stop:
        return -1
    least = _sign_extended(load(buffer, at + 2), least_width)
    if width == 0:
        values[:] = least
        return end
    mask, factor = _MASKS[width], _SCALES[scale]
    for i in range(len(values)):
        values[i] = least + (load(buffer, body + i * width) & mask) * factor
    return end


@borrowing
def _sign_extended(loaded: int, width: int) -> int:
    unused = 64 - 8 * width
    return 0 if width == 0 else (loaded << unused) >> unused


@borrowing
def write_column(out: Bytes, at: int, values: Int64s) -> int:
    """Write the column at ``at``; the position after it."""
    least, width, scale = _frame(values)
    least_width = 0 if width == WIDEST else _signed_width(least)
    out[at] = width | scale << 4
    out[at + 1] = least_width
    _store(out, at + 2, least, least_width)
    body = at + 2 + least_width
    for i in range(len(values)):
        _store(out, body + i * width, (values[i] - least) // _SCALES[scale] if width < WIDEST else values[i], width)
    return body + len(values) * width


@borrowing
def _frame(values: Int64s) -> tuple[int, int, int]:
    """Least value, width in bytes and scale that code the column shortest."""
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
