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


def segment_figures(test: TrainingFrame, probabilities: FloatArray, learned: SegmentModel | None) -> list[SegmentFigures]:
    """Figures of every segment that has rows: the learned ones, then the declared ones.

    A declared segmentation over attributes that training does not see (``model: false``) is left out.
    """
    figures: list[SegmentFigures] = []
    if learned is not None:
        ids = np.array(learned.assign(test.vectors))
        for group in learned.segments:
            figures += _figures(test, probabilities, ids == group.id, place=(LEARNED, group.id), name=group.name)
    for name, segments in _declared(test.product):
        found = _segments(test, segments)
        for segment in segments:
            figures += _figures(test, probabilities, found == segment.name, place=(name, segment.name))
    return figures


def _figures(
    test: TrainingFrame, probabilities: FloatArray, mine: BoolArray, *, place: tuple[str, str], name: str = ""
) -> Iterator[SegmentFigures]:
    if not mine.any():
        return
    risk, outcomes = probabilities[mine], test.outcomes[mine]
    yield SegmentFigures(
        segmentation=place[0],
        segment=place[1],
        name=name,
        rows=int(mine.sum()),
        share=float(mine.mean()),
        dropout_rate=float(outcomes.mean()),
        mean_risk=float(risk.mean()),
        brier=float(((risk - outcomes) ** 2).mean()),
        auc=auc(risk, outcomes),
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
