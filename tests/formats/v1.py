"""Version 1 of the timeline's bytes, read and written in plain Python from the description of its layout, and frozen.

This is what a process of the first release knows: it shares no code with `features.core`, and must not be changed.
"""

from __future__ import annotations

import struct
from collections import Counter

import xxhash

Row = tuple[int, ...]
"""kind hash, occurred_us, event_hash, known_us, skew_us, subject, value, session."""
Key = tuple[int, ...]
"""kind hash, occurred_us, event_hash."""

SCALES = (1, 1_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000)


class NewerError(ValueError):
    """Bytes of a version after 1."""


class Reader:
    """Takes columns off the front."""

    def __init__(self, content: bytes) -> None:
        self.rest = content

    def take(self, n: int) -> bytes:
        taken, self.rest = self.rest[:n], self.rest[n:]
        return taken

    def column(self, n: int) -> list[int]:
        coded, least_width = self.take(2)
        width, scale = coded & 15, SCALES[coded >> 4]
        least = int.from_bytes(self.take(least_width), "little", signed=True)
        return [least + int.from_bytes(self.take(width), "little", signed=width == 8) * scale for _ in range(n)]


def read(packed: bytes) -> tuple[list[Row], list[Key]]:
    """Events in order, and the newest key that each kind let go."""
    if not packed:
        return [], []
    if packed[:3] != b"SHT" or packed[3] != 1:
        raise NewerError(f"format version {packed[3]}, expected 1")
    content, checksum = packed[:-8], packed[-8:]
    assert xxhash.xxh3_64_intdigest(content) == int.from_bytes(checksum, "little")
    n_kinds, n_let_go, n_events, n_subjects, n_sessions = struct.unpack("<IIIII", content[4:24])
    reader = Reader(content[24:])
    kinds, counts = reader.column(n_kinds), reader.column(n_kinds)
    let_go = list(zip(*(reader.column(n_let_go) for _ in range(3)), strict=True))
    columns = [reader.column(n_events) for _ in range(7)]
    subjects, sessions = [0, *reader.column(n_subjects)], [0, *reader.column(n_sessions)]
    assert reader.rest == b""
    kind_of_event = [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]
    rows = [
        (kind, occurred, event_hash, delay + occurred - skew, skew, subjects[subject], value, sessions[session])
        for kind, occurred, event_hash, delay, skew, value, subject, session in zip(kind_of_event, *columns, strict=True)
    ]
    return rows, [(kinds[kind], occurred, event_hash) for kind, occurred, event_hash in let_go]


def write(rows: list[Row], let_go: list[Key]) -> bytes:
    """The bytes of events and keys in order."""
    if not rows and not let_go:
        return b""
    counts = Counter(row[0] for row in rows)
    kinds = sorted({*counts, *(key[0] for key in let_go)})
    subjects, sessions = (sorted({row[place] for row in rows} - {0}) for place in (5, 7))
    code_of_subject, code_of_session = ({text: code for code, text in enumerate([0, *texts])} for texts in (subjects, sessions))
    content = b"SHT\1" + struct.pack("<IIIII", len(kinds), len(let_go), len(rows), len(subjects), len(sessions))
    columns = [
        kinds,
        [counts[kind] for kind in kinds],
        [kinds.index(key[0]) for key in let_go],
        [key[1] for key in let_go],
        [key[2] for key in let_go],
        [row[1] for row in rows],
        [row[2] for row in rows],
        [row[3] - (row[1] - row[4]) for row in rows],
        [row[4] for row in rows],
        [row[6] for row in rows],
        [code_of_subject[row[5]] for row in rows],
        [code_of_session[row[7]] for row in rows],
        subjects,
        sessions,
    ]
    content += b"".join(_column(values) for values in columns)
    return content + xxhash.xxh3_64_intdigest(content).to_bytes(8, "little")


def _column(values: list[int]) -> bytes:
    least = min(values, default=0)
    span = max(values, default=0) - least
    if span >= 1 << 56:
        return b"\x08\0" + b"".join(value.to_bytes(8, "little", signed=True) for value in values)
    index = max(i for i, scale in enumerate(SCALES) if i == 0 or (span and not any((value - least) % scale for value in values)))
    width = (span // SCALES[index]).bit_length() + 7 >> 3
    least_width = next(n for n in range(9) if (least == 0 if n == 0 else -(1 << 8 * n - 1) <= least < 1 << 8 * n - 1))
    body = b"".join(((value - least) // SCALES[index]).to_bytes(width, "little") for value in values)
    return bytes([width | index << 4, least_width]) + least.to_bytes(least_width, "little", signed=True) + body
