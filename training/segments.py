"""Learn segments of behaviour by k-means: k by silhouette, ids that outlive a retraining.

References
----------
Rousseeuw (1987), Silhouettes, doi:10.1016/0377-0427(87)90125-7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Catalogue
from features.core.nearest import CUT
from features.core.product import Product
from models.segments import LearnedSegment, ScaledInput, SegmentModel
from training.frame import TrainingFrame
from training.segment_ids import stable_ids

FloatArray = npt.NDArray[np.float64]

KS = tuple(range(2, 9))
MIN_ROWS = 200
"""Fewest rows to learn from."""
_ROWS = 10_000  # learned from at most so many rows; centres do not move with more
_TRIED_ROWS, _SILHOUETTE_ROWS = 3_000, 1_500  # k is chosen on fewer: a silhouette takes time in the square of the rows
_LOYALTY = 0.05
"""By how much another k's silhouette must be better than that of the champion's k: a tie must not renumber everybody's segment."""
_NEVER = "seconds_since"
_SHORTEST = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class KScore:
    """How well k clusters describe the rows."""

    k: int
    silhouette: float  # mean over sampled rows, -1 to 1
    inertia: float  # mean squared distance to the nearest centre


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedSegments:
    """The segments, and why there are so many."""

    model: SegmentModel
    scores: tuple[KScore, ...]  # of every k that was tried
    kept: tuple[str, ...]  # ids that the champion had, too

    @property
    def k(self) -> int:
        """The number of segments."""
        return len(self.model.segments)


def learn_segments(train: TrainingFrame, *, seed: int = 0, previous: SegmentModel | None = None) -> LearnedSegments | None:
    """Learn segments from the states of users at the rows' instants; None where there are too few rows, or they hardly differ.

    Parameters
    ----------
    train
        The training slice; of many rows, a sample is used.
    previous
        Of the champion: its k is kept where no other is clearly better, and its ids where a centre has a close match.
    """
    rng = np.random.default_rng(seed)
    vectors = train.vectors
    vectors = vectors[rng.permutation(len(vectors))[:_ROWS]]
    inputs = scaled_inputs(vectors, train.product)
    if len(vectors) < MIN_ROWS or len(inputs) < 2:  # noqa: PLR2004  one coordinate is no behaviour
        return None
    scale = SegmentModel(feature_names=train.product.catalogue.feature_names, inputs=inputs, segments=(), next_number=1)
    points = scale.points(vectors)
    start = _start(scale, previous)
    scores = _scores(points, seed=seed, start=start)
    if not scores:
        return None
    centres = np.asarray(_best_fit(points, _chosen_k(scores, previous), seed=seed, start=start).cluster_centers_)
    ids, next_number = stable_ids(replace(scale, segments=_unnamed(centres)), previous, vectors)
    names = _names(centres, points, scale, train.product.catalogue)
    parts = zip(ids, names, centres.tolist(), strict=True)
    segments = sorted((LearnedSegment(id=id_, name=name, centre=tuple(c)) for id_, name, c in parts), key=lambda s: int(s.id[1:]))
    kept = () if previous is None else tuple(id_ for id_ in ids if id_ in previous.ids)
    return LearnedSegments(model=replace(scale, segments=tuple(segments), next_number=next_number), scores=scores, kept=kept)


def scaled_inputs(vectors: FloatArray, product: Product) -> tuple[ScaledInput, ...]:
    """How each feature of behaviour becomes a coordinate; features that do not vary are left out.

    Behaviour is what has an actionable cause and looks back a week or further: what somebody does, not whether it was today. Where fewer
    than two features are, all count. Causes weigh alike, however many features each has, and so do the features of one cause.
    """
    actionable = {cause.name for cause in product.causes if cause.actionable}
    features = product.catalogue.features
    behaviour = [i for i, f in enumerate(features) if f.cause in actionable and (f.window is None or f.window >= _SHORTEST)]
    columns = behaviour if len(behaviour) > 1 else range(len(features))
    made = [(features[i].cause, entry) for i in columns if (entry := _scaled_input(features[i].name, vectors[:, i])) is not None]
    causes = [cause for cause, _ in made]
    return tuple(replace(entry, weight=entry.weight / float(np.sqrt(causes.count(cause)))) for cause, entry in made)


def _scaled_input(name: str, column: FloatArray) -> ScaledInput | None:
    known = column[np.isfinite(column)]
    if len(known) == 0:
        return None
    # Never done is as if done the longest time ago; of anything else, undefined says nothing.
    fill = float(np.max(known) if name.startswith(_NEVER) else np.median(known))
    filled = np.where(np.isnan(column), fill, column)
    low, middle, high = np.quantile(filled, [0.05, 0.5, 0.95])
    is_log = bool(filled.min() >= 0 and high - middle > 2 * (middle - low))
    values = np.log1p(filled) if is_log else filled
    first, offset, third = np.quantile(values, [0.25, 0.5, 0.75])
    divisor = float(third - first) or float(values.std())
    if not divisor > 0:
        return None
    spread = float(np.clip((values - offset) / divisor, -CUT, CUT).std())
    return ScaledInput(feature=name, fill=fill, is_log=is_log, offset=float(offset), divisor=divisor, weight=1.0 / spread)


def _scores(points: FloatArray, *, seed: int, start: FloatArray | None) -> tuple[KScore, ...]:
    """Silhouette and inertia of every k that the rows can have."""
    tried = points[:_TRIED_ROWS]
    sample = tried[:_SILHOUETTE_ROWS]
    n_different = len(np.unique(sample, axis=0))
    return tuple(_score(_best_fit(tried, k, seed=seed, start=start), sample, len(tried)) for k in KS if k < n_different)


def _score(fitted: Any, sample: FloatArray, n_rows: int) -> KScore:
    from sklearn.metrics import silhouette_score

    labels = fitted.predict(sample)
    silhouette = float(silhouette_score(sample, labels)) if len(np.unique(labels)) > 1 else -1.0
    return KScore(k=len(fitted.cluster_centers_), silhouette=silhouette, inertia=float(fitted.inertia_) / n_rows)


def _chosen_k(scores: tuple[KScore, ...], previous: SegmentModel | None) -> int:
    best = max(scores, key=lambda score: score.silhouette)
    if previous is not None:
        same = [score for score in scores if score.k == len(previous.segments) and score.silhouette >= best.silhouette - _LOYALTY]
        return same[0].k if same else best.k
    return best.k


def _best_fit(points: FloatArray, k: int, *, seed: int, start: FloatArray | None) -> Any:
    """The best of several starts; of about equally good ones, the start at the champion's centres."""
    fresh = _fit(points, k, seed=seed, n_init=4)
    if start is not None and len(start) == k:
        warm = _fit(points, k, seed=seed, n_init=1, init=start)
        if warm.inertia_ <= 1.01 * fresh.inertia_:
            return warm
    return fresh


def _fit(points: FloatArray, k: int, **options: Any) -> Any:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # data of this size gains nothing from more, and contended threads wait for each other
        return KMeans(n_clusters=k, random_state=options.pop("seed"), **options).fit(points)


def _start(scale: SegmentModel, previous: SegmentModel | None) -> FloatArray | None:
    """The champion's centres in the new scale; None where it has other inputs."""
    if previous is None or [entry.feature for entry in previous.inputs] != [entry.feature for entry in scale.inputs]:
        return None
    return scale.scaled(previous.unscaled(previous.centres))


def _unnamed(centres: FloatArray) -> tuple[LearnedSegment, ...]:
    return tuple(LearnedSegment(id="", name="", centre=tuple(centre)) for centre in centres.tolist())


def _names(centres: FloatArray, points: FloatArray, scale: SegmentModel, catalogue: Catalogue) -> list[str]:
    """What stands out most in each, the strongest feature of each of two causes: "high count_click_7d, low count_login_7d"."""
    causes = {feature.name: feature.cause for feature in catalogue.features}
    return [_name((centre - points.mean(axis=0)) / points.std(axis=0), scale, causes) for centre in centres]


def _name(deviation: FloatArray, scale: SegmentModel, causes: dict[str, str]) -> str:
    words: dict[str, str] = {}
    for position in np.argsort(-np.abs(deviation), kind="stable"):
        feature = scale.inputs[position].feature
        words.setdefault(causes[feature], f"{'high' if deviation[position] > 0 else 'low'} {feature}")
    return ", ".join(list(words.values())[:2])
