"""Rows that an alert error is measured on: a risk, whether the user dropped out, the user and the segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.core.product import Product
from features.core.segments import segment_of
from training.frame import USER, TrainingFrame

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

NO_SEGMENT = ""
"""Segment of a row whose user is in none; `risk_threshold` is theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRows:
    """Scored rows with known outcomes; arrays of shape (n_rows,).

    Rows of one user depend on each other, so every interval over them counts users, not rows.
    """

    user: IntArray  # codes 0 .. n_users - 1
    segment: npt.NDArray[np.str_]  # `NO_SEGMENT` where none
    risk: FloatArray  # calibrated, 0 to 1; of a model that has not seen the row
    dropped_out: BoolArray

    def at(self, mask: BoolArray) -> AlertRows:
        """Take the rows where ``mask`` holds."""
        return AlertRows(user=self.user[mask], segment=self.segment[mask], risk=self.risk[mask], dropped_out=self.dropped_out[mask])

    def of(self, segment: str) -> AlertRows:
        """Take the rows of one segment."""
        return self.at(self.segment == segment)

    @property
    def n_users(self) -> int:
        """Count the distinct users."""
        return len(np.unique(self.user))


def alert_rows(
    user: npt.ArrayLike, segment: Sequence[str | None] | npt.NDArray[Any], risk: FloatArray, dropped_out: BoolArray
) -> AlertRows:
    """Code users and segments; a missing segment becomes `NO_SEGMENT`.

    Examples
    --------
    >>> rows = alert_rows(["b", "a", "b"], ["free", None, "free"], np.array([0.1, 0.9, 0.4]), np.array([False, True, False]))
    >>> rows.user.tolist(), rows.segment.tolist(), rows.n_users
    ([1, 0, 1], ['free', '', 'free'], 2)
    """
    names = [NO_SEGMENT if name is None or name != name else str(name) for name in np.asarray(segment, dtype=object)]  # noqa: PLR0124 - NaN
    return AlertRows(
        user=np.unique(np.asarray(user), return_inverse=True)[1].astype(np.int64),
        segment=np.array(names, dtype=np.str_),
        risk=np.asarray(risk, dtype=np.float64),
        dropped_out=np.asarray(dropped_out, dtype=bool),
    )


def rows_of_frame(frame: TrainingFrame, risk: FloatArray) -> AlertRows:
    """Rows of a training frame, each in its primary segment as serving would tell it."""
    return alert_rows(frame.rows[USER].to_numpy(), primary_segments(frame), risk, frame.outcomes)


def primary_segments(frame: TrainingFrame) -> list[str | None]:
    """Each row's primary segment, by the same function as in serving.

    None for every row where segments ask for attributes that training does not see (``model: false``): then the whole alone has a
    threshold.
    """
    product = frame.product
    if not segments_are_visible(product):
        return [None] * len(frame.rows)
    asked = sorted({condition.feature for segment in product.segments for condition in segment.conditions} & set(frame.rows.columns))
    columns = [frame.rows[name].tolist() for name in asked]
    numbers = [dict(zip(asked, values, strict=True)) for values in zip(*columns, strict=True)] or [{}] * len(frame.rows)
    return [segment_of(product.segments, n, p) for n, p in zip(numbers, frame.profiles(), strict=True)]


def segments_are_visible(product: Product) -> bool:
    """Whether every attribute that a primary segment asks for is among what the model may see."""
    seen = {attribute.name for attribute in product.model_attributes}
    return all(set(segment.where) <= seen for segment in product.segments)
