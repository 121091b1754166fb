"""Receipts as Parquet, one folder a day, for analysts: what they read never touches the ledger."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import redis
import xxhash

from features.ingest.erase_rows import erase_rows
from features.ports import IdentityStore, StoreError
from serving.adapters.receipt_form import receipt_from
from serving.adapters.shadow import Shadow, ShadowRisk

_SCAN_COUNT = 1_000
_BATCH = 1_000

_log = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        ("decision_id", pa.string()),
        ("user_id", pa.string()),
        ("as_of", pa.timestamp("us", tz="UTC")),
        ("action", pa.string()),
        ("code", pa.string()),
        ("risk", pa.float64()),
        ("threshold", pa.float64()),
        ("segment", pa.string()),
        ("trigger", pa.string()),
        ("cause", pa.string()),
        ("message_id", pa.string()),
        ("channel", pa.string()),
        ("model", pa.string()),
        ("policy", pa.string()),
        ("features", pa.string()),
        ("shadow_model", pa.string()),  # the challenger that scored the same numbers, where there was one when this was written
        ("shadow_risk", pa.float64()),
        ("receipt", pa.string()),  # the whole receipt, as JSON
    ]
)
"""Columns of every part file, in order."""

_ALWAYS_THERE = ("decision_id", "user_id", "action", "code")
_TEXTS = frozenset(field.name for field in SCHEMA if field.type == pa.string())
_NUMBERS = frozenset(field.name for field in SCHEMA if field.type == pa.float64())


@dataclass(slots=True, kw_only=True)
class ReceiptExporter:
    """Copies every receipt of one product once to ``<receipts_dir>/day=YYYY-MM-DD/part-*.parquet``, by the UTC day of its as_of.

    Finds receipts by walking the ledger's keys, which costs Redis about a millisecond for each thousand keys and a decision nothing. What
    is already in the files is not written again, whoever wrote it.
    """

    client: redis.Redis
    product: str
    receipts_dir: Path
    identities: IdentityStore | None = None  # None: nobody is ever erased
    shadow: Shadow | None = None
    _known: set[str] | None = field(default=None)
    _unchecked: set[str] = field(default_factory=set)  # users written about since it was last asked who is erased

    def export(self) -> int:
        """Export what is new; the number of receipts.

        Raises
        ------
        StoreError
            If Redis or the disk fails; the next export tries again.
        """
        try:
            if self._known is None:
                self._known = exported_ids(self.receipts_dir)
            self._erase_again()  # after an export that failed in between
            key_of_id = self._keys()
            new = sorted(key_of_id.keys() - self._known)
            for start in range(0, len(new), _BATCH):
                for ids in self._export_batch([key_of_id[decision_id] for decision_id in new[start : start + _BATCH]]):
                    self._known |= ids  # file by file: what is written stays written, though the next file fails
                self._erase_again()
            self._known = set(key_of_id)  # forget what has expired: its key cannot come back
            return len(new)
        except redis.RedisError as exc:
            raise StoreError(f"receipts could not be read ({type(exc).__name__}: {exc}); start Redis") from exc
        except OSError as exc:
            raise StoreError(f"receipts could not be written to {self.receipts_dir} ({exc}); check space and permissions") from exc

    def _keys(self) -> dict[str, bytes]:
        pattern = f"stillhere:{{{_escaped(self.product)}:*}}:receipt:*"
        keys = self.client.scan_iter(match=pattern, count=_SCAN_COUNT)
        return {key.rsplit(b":", 1)[1].decode(): key for key in keys}

    def _export_batch(self, keys: Sequence[bytes]) -> Iterator[set[str]]:
        """The decision ids of each file, once it is written."""
        with self.client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.get(key)
            found = [(key, receipt_from(stored)) for key, stored in zip(keys, pipeline.execute(), strict=True) if stored is not None]
        rows_of_day: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows([receipt for receipt in (_read(*one) for one in found) if receipt is not None]):
            rows_of_day[row["as_of"].date().isoformat()].append(row)
        for day, rows in rows_of_day.items():
            self._unchecked |= {row["user_id"] for row in rows}
            _write(self.receipts_dir / f"day={day}", pa.Table.from_pylist(rows, schema=SCHEMA))
            yield {row["decision_id"] for row in rows}

    def _rows(self, receipts: Sequence[_Receipt]) -> list[dict[str, Any]]:
        if self.shadow is None:
            return [receipt.row for receipt in receipts]
        risks = self.shadow.score([receipt.parsed for receipt in receipts])
        return [{**receipt.row, **_shadow_columns(risk)} for receipt, risk in zip(receipts, risks, strict=True)]

    def _erase_again(self) -> None:
        """Take back what an erasure overtook: it empties the files once, perhaps before these were written."""
        if self.identities is not None and self._unchecked:
            standing = self.identities.standing(sorted(self._unchecked))
            if erased := [user_id for user_id, known in standing.items() if known.is_erased]:
                erase_rows(sorted(self.receipts_dir.glob("day=*/part-*.parquet")), erased)
        self._unchecked = set()


def exported_ids(receipts_dir: Path) -> set[str]:
    """Decision ids that the part files hold.

    Examples
    --------
    >>> exported_ids(Path("/nowhere"))
    set()
    """
    ids: set[str] = set()
    for part in sorted(receipts_dir.glob("day=*/part-*.parquet")):
        ids.update(pq.ParquetFile(part).read(columns=["decision_id"])["decision_id"].to_pylist())
    return ids


@dataclass(frozen=True, slots=True)
class _Receipt:
    parsed: Mapping[str, Any]
    row: dict[str, Any]


def _read(key: bytes, receipt: bytes) -> _Receipt | None:
    """The receipt under a key; None, said in the log, for bytes that are none: they cost no other its place in the files."""
    try:
        parsed = orjson.loads(receipt)
        return _Receipt(parsed, _fitting(receipt_row(receipt, parsed)))
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        _log.warning(
            "%s holds no receipt (%s: %s), so it is in no file; delete the key, or restore it from a copy of Redis",
            *(key.decode(errors="replace"), type(exc).__name__, exc),
        )
        return None


def _fitting(row: dict[str, Any]) -> dict[str, Any]:
    """The row, if every value is of its column's type.

    Raises
    ------
    TypeError
        If one is not: written among others it would cost all of them their place.
    """
    for name, value in row.items():
        if value is None and name not in _ALWAYS_THERE:
            continue
        expected = str if name in _TEXTS else (float, int) if name in _NUMBERS else datetime
        if not isinstance(value, expected) or value is True or value is False:
            kind = "a text" if name in _TEXTS else "a number"
            msg = f"its {name} is {value!r}, expected {kind}"
            raise TypeError(msg)
    return row


def receipt_row(receipt: bytes, parsed: Mapping[str, Any]) -> dict[str, Any]:
    """One receipt as a row of `SCHEMA`, without what a challenger says of it."""
    output = parsed["output"]
    message = output["message"] or {}
    cause = output["cause"] or {}
    plain = ("decision_id", "user_id", "action", "risk", "threshold", "segment", "trigger")
    return {
        **{name: output[name] for name in plain},
        **{name: output["versions"].get(name) for name in ("model", "policy", "features")},
        **_shadow_columns(None),
        "as_of": datetime.fromisoformat(output["as_of"]),
        "code": output["reason"]["code"],
        "cause": cause.get("group"),
        "message_id": message.get("id"),
        "channel": message.get("channel"),
        "receipt": receipt.decode(),
    }


def _shadow_columns(shadow: ShadowRisk | None) -> dict[str, Any]:
    return {"shadow_model": None if shadow is None else shadow.model, "shadow_risk": None if shadow is None else shadow.risk}


def _write(folder: Path, rows: pa.Table) -> None:
    """Write under a temporary name and rename: a part is whole or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    name = xxhash.xxh3_128_hexdigest("".join(rows["decision_id"].to_pylist()))
    temporary = folder / f".{name}.{os.getpid()}"
    pq.write_table(rows, temporary, compression="zstd")
    temporary.replace(folder / f"part-{name}.parquet")


def _escaped(name: str) -> str:
    """Redis' glob characters taken literally."""
    return "".join(f"\\{char}" if char in "*?[]^\\" else char for char in name)
