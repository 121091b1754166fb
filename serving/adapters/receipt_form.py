"""How a receipt lies in Redis: compressed, a third of its size, which is also less for Redis to copy and to write to its log."""

from __future__ import annotations

import struct
from functools import cache

import orjson
import pyarrow as pa

from serving.ports import DamagedReceiptError

_MAGIC = b"SHR\x01"  # no receipt begins like that: JSON objects begin with a brace
_LENGTH = struct.Struct("<I")
_HEADER_BYTES = len(_MAGIC) + _LENGTH.size
_MOST_TIMES_SMALLER = 255
"""LZ4's own limit; a header that claims more is damaged, and would only ask for memory."""


def stored_form(receipt: bytes) -> bytes:
    """Magic, length (u32, little-endian), LZ4 block: the same bytes of the same receipt, ten microseconds of 11 kB.

    Examples
    --------
    >>> len(stored_form(b'{"inputs":{}}' * 100)) < 100
    True
    """
    compressed: bytes = _codec().compress(receipt, asbytes=True)
    return _MAGIC + _LENGTH.pack(len(receipt)) + compressed


def receipt_from(stored: bytes) -> bytes:
    """The receipt of its stored form; one that was stored as it is, by an earlier release, as it is.

    What is damaged is given as it stands too: whoever reads it as a receipt says what is wrong with it.

    Examples
    --------
    >>> receipt_from(stored_form(b'{"inputs":{}}')), receipt_from(b'{"inputs":{}}')
    (b'{"inputs":{}}', b'{"inputs":{}}')
    """
    if not stored.startswith(_MAGIC) or len(stored) < _HEADER_BYTES:
        return stored
    (length,) = _LENGTH.unpack_from(stored, len(_MAGIC))
    block = stored[_HEADER_BYTES:]
    if length > _MOST_TIMES_SMALLER * len(block):
        return stored
    try:
        receipt: bytes = _codec().decompress(block, length, asbytes=True)
    except OSError:
        return stored
    return receipt


def whole_receipt(stored: bytes, decision_id: str) -> bytes:
    """`receipt_from`, of what is to be answered with: it is whole, a JSON object.

    Raises
    ------
    DamagedReceiptError
        If it is not; names the decision.

    Examples
    --------
    >>> whole_receipt(stored_form(b'{"inputs":{}}'), "d1")
    b'{"inputs":{}}'
    """
    receipt = receipt_from(stored)
    try:
        if isinstance(orjson.loads(receipt), dict):
            return receipt
        why = "its JSON is no object"
    except orjson.JSONDecodeError as exc:
        why = str(exc)
    raise DamagedReceiptError(
        f"the receipt of {decision_id} in Redis is damaged ({why}); restore its key from a copy of Redis, or read it in the exported "
        "receipts, if it was exported before"
    )


@cache
def _codec() -> pa.Codec:
    return pa.Codec("lz4_raw")
