"""How users and the model differ by segment, learned and declared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.core.product import Product, Segment
from features.core.segments import LEARNED, segment_of
from models.segments import SegmentModel
from training.evaluate import auc
from training.frame import TrainingFrame

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

PRIMARY = "primary"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFigures:
    """One segment on the test slice."""

    segmentation: str
    segment: str
    name: str  # of a learned one; "" else
    rows: int
    share: float
    dropout_rate: float
    mean_risk: float
    brier: float
    auc: float  # NaN where all have the same outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRows:
    """Which rows of a slice are in a segment."""

    segmentation: str
    segment: str
    name: str  # of a learned one; "" else
    rows: BoolArray  # shape (n_rows,); at least one


def segment_rows(test: TrainingFrame, learned: SegmentModel | None, vectors: FloatArray | None = None) -> list[SegmentRows]:
    """Rows of every segment that has any: the learned segments, then the declared ones.

    A declared segmentation over attributes that training does not see (``model: false``) is left out.

    Parameters
    ----------
    vectors
        The features of the model that the segments were learned with, shape (n_rows, n_features); default: the product's own.
    """
    found: list[SegmentRows] = []
    if learned is not None:
        ids = np.array(learned.assign(test.vectors if vectors is None else vectors))
        found += [SegmentRows(segmentation=LEARNED, segment=group.id, name=group.name, rows=ids == group.id) for group in learned.segments]
    for name, segments in _declared(test.product):
        here = _segments(test, segments)
        found += [SegmentRows(segmentation=name, segment=segment.name, name="", rows=here == segment.name) for segment in segments]
    return [segment for segment in found if segment.rows.any()]


def segment_figures(test: TrainingFrame, probabilities: FloatArray, learned: SegmentModel | None) -> list[SegmentFigures]:
    """Figures of every segment that has rows."""
    return [figures_of(segment, probabilities, test.outcomes) for segment in segment_rows(test, learned)]


def figures_of(segment: SegmentRows, probabilities: FloatArray, outcomes: BoolArray) -> SegmentFigures:
    """Figures of one segment; probabilities and outcomes of the whole slice, shape (n_rows,)."""
    risk, outcome = probabilities[segment.rows], outcomes[segment.rows]
    return SegmentFigures(
        segmentation=segment.segmentation,
        segment=segment.segment,
        name=segment.name,
        rows=len(risk),
        share=float(segment.rows.mean()),
        dropout_rate=float(outcome.mean()),
        mean_risk=float(risk.mean()),
        brier=float(((risk - outcome) ** 2).mean()),
        auc=auc(risk, outcome),
    )


def _declared(product: Product) -> Iterator[tuple[str, Sequence[Segment]]]:
    seen = {attribute.name for attribute in product.model_attributes}
    everything = [(PRIMARY, product.segments), *((s.name, s.segments) for s in product.segmentations)]
    return ((name, segments) for name, segments in everything if all(set(segment.where) <= seen for segment in segments))


def _segments(test: TrainingFrame, segments: Sequence[Segment]) -> npt.NDArray[np.object_]:
    """Each row's segment, by the same function as in serving."""
    asked = sorted({condition.feature for segment in segments for condition in segment.conditions} & set(test.rows.columns))
    columns = [test.rows[name].tolist() for name in asked]
    numbers = [dict(zip(asked, values, strict=True)) for values in zip(*columns, strict=True)] or [{}] * len(test.rows)
    return np.array([segment_of(segments, n, p) for n, p in zip(numbers, test.profiles(), strict=True)], dtype=object)
