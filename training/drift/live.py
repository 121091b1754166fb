"""Live rows: the vectors and profiles that decisions were made with, as receipts keep them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from features.core.product import AttributeType, Product
from training.frame import AS_OF, USER
from training.thresholds.decisions import Decided, read_decisions


def live_rows(receipts_dir: Path, product: Product, *, since: datetime | None = None) -> Decided:
    """Rows of `training.thresholds.decisions.read_decisions`, with one column per feature and attribute that the model sees.

    Raises
    ------
    NoReceiptsError, ForeignReceiptsError
        If there are none, or none of the product's present features.
    """
    decided = read_decisions(receipts_dir, product, since=since, with_receipt=True)
    inputs = [orjson.loads(receipt)["inputs"] for receipt in decided.rows.pop("receipt")]
    columns = {name: _numbers(inputs, name) for name in product.catalogue.feature_names}
    columns |= {a.name: _attribute(inputs, a.name, is_number=a.type is AttributeType.NUMBER) for a in product.model_attributes}
    rows = pd.concat([decided.rows, pd.DataFrame(columns, index=decided.rows.index)], axis=1)
    return Decided(rows=rows, left_out=decided.left_out)


def span(rows: pd.DataFrame) -> str:
    """From when to when rows are, and of how many users.

    Examples
    --------
    >>> span(pd.DataFrame({"user_id": ["a"], "as_of": pd.to_datetime(["2026-03-01T12:00Z"])}))
    '1 rows of 1 users, 2026-03-01 to 2026-03-01'
    """
    return f"{len(rows)} rows of {rows[USER].nunique()} users, {rows[AS_OF].min().date()} to {rows[AS_OF].max().date()}"


def _numbers(inputs: list[dict[str, Any]], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([_number(each["features"].get(name)) for each in inputs], dtype=np.float64)


def _attribute(inputs: list[dict[str, Any]], name: str, *, is_number: bool) -> Any:
    values = [each.get("ages", {}).get(name, each["profile"].get(name)) for each in inputs]
    return np.array([_number(value) for value in values]) if is_number else np.array(values, dtype=object)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
