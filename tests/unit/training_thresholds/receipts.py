"""Receipts as the exporter leaves them, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from features.core.event import to_us
from serving.adapters.receipt_export import SCHEMA
from serving.decision.record import inputs_to_json
from serving.decision.values import Inputs


def receipt(user_id: str, as_of: datetime, *, risk: float | None, features: str, **more: Any) -> dict[str, Any]:
    """One row of an export; ``more``: threshold, segment, numbers (feature values), profile, decision_id, ages."""
    decision_id = more.get("decision_id", f"{user_id}@{as_of.isoformat()}")
    inputs = Inputs(
        decision_id=decision_id,
        user_id=user_id,
        as_of_us=to_us(as_of),
        n_events=1,
        features=more.get("numbers", {}),
        risk=risk,
        contributions=None,
        profile=more.get("profile", {}),
        segment=more.get("segment"),
        contacts=(),
        ages=more.get("ages", {}),
    )
    plain = {"decision_id": decision_id, "user_id": user_id, "as_of": as_of, "action": "none", "risk": risk, "features": features}
    plain |= {"threshold": more.get("threshold", 0.6), "segment": more.get("segment"), "model": "tiny/1", "policy": "p"}
    return {name: plain.get(name) for name in SCHEMA.names} | {"receipt": orjson.dumps({"inputs": inputs_to_json(inputs)}).decode()}


def export(receipts_dir: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows where the exporter would, one part a day."""
    days: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        days.setdefault(row["as_of"].date().isoformat(), []).append(row)
    for day, mine in days.items():
        folder = receipts_dir / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(mine), schema=SCHEMA), folder / "part-0.parquet")
