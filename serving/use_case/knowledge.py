"""What is known of each user at the moment of the call: timeline, profile, vector, risk; and what could not be read."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from features.core.ages import ages
from features.core.kernel import vectors
from features.core.product import Product
from features.core.program import Program
from features.core.segments import LEARNED, segment_of, segments_of
from features.core.timeline import NewerTimelineFormatError, Timeline, TimelineFormatError, unpack
from features.ports import ProfileStore, StoreError, StoreTimeoutError, TimelineStore, UnreadableUsersError
from serving.decision.values import Degradation
from serving.ports import FloatArray, Scorer

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One user at one as_of; a part that could not be read is empty and named in ``degraded``."""

    user_id: str
    as_of_us: int
    packed: bytes
    n_events: int
    newest_known_us: int  # 0 when no event is known
    coverage_start_us: int | None
    profile: dict[str, Any]
    vector: FloatArray | None = None  # (n_features,)
    risk: float | None = None
    learned_segment: str | None = None  # id, where the model has learned segments
    degraded: tuple[Degradation, ...] = ()


@dataclass(slots=True)
class Patience:
    """One call waits once: when a store has not answered in time, no other is asked, for they share a server or its trouble."""

    is_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads and scores many users in as few calls as one."""

    product: Product
    program: Program
    scorer: Scorer | None
    timelines: TimelineStore
    profiles: ProfileStore
    patience: Patience

    def read(self, user_ids: Sequence[str], now_us: int) -> list[Known]:
        """What is known of each, in the order asked for; one unreadable user never costs another their answer."""
        timelines = _read_each(self.timelines.read, user_ids, self.patience)
        profiles = _read_each(self.profiles.read, user_ids, self.patience)
        known = [
            _known(user_id, now_us, None if stored is None else stored.packed, profile)
            for user_id, stored, profile in zip(user_ids, timelines, profiles, strict=True)
        ]
        return self._with_learned_segments(self._scored(self._with_vectors(known)))

    def explain(self, known: Known) -> dict[str, float] | None:
        """Contributions to the risk by cause, log-odds; None when there is no risk to explain or the model fails."""
        scorer, vector = self.scorer, known.vector
        if scorer is None or vector is None or known.risk is None:
            return None
        contributions = _attempt(lambda: scorer.contributions(vector, self._model_profile(known)))
        return None if contributions is None else {cause: float(value) for cause, value in contributions.items() if math.isfinite(value)}

    def by_name(self, vector: FloatArray) -> dict[str, float]:
        """The vector's numbers under their features' names."""
        return dict(zip(self.program.catalogue.feature_names, vector.tolist(), strict=True))

    def segments(self, known: Known) -> tuple[str | None, dict[str, str]]:
        """The user's segment in the primary segmentation, and by name in every other, the learned one included."""
        profile = None if Degradation.PROFILE_UNAVAILABLE in known.degraded else known.profile
        numbers = None if known.vector is None else {**self.by_name(known.vector), **self.ages(known)}
        learned = {} if known.learned_segment is None else {LEARNED: known.learned_segment}
        return segment_of(self.product.segments, numbers, profile), {**segments_of(self.product, numbers, profile), **learned}

    def ages(self, known: Known) -> dict[str, float]:
        """Seconds since the instants of the user's profile, at as_of."""
        return ages(known.profile, self.product.instants, known.as_of_us)

    def _model_profile(self, known: Known) -> dict[str, Any]:
        return {**known.profile, **self.ages(known)}

    def _with_vectors(self, known: list[Known]) -> list[Known]:
        readable = [i for i, one in enumerate(known) if Degradation.FEATURES_UNAVAILABLE not in one.degraded]
        if readable:
            as_of_us = np.array([known[i].as_of_us for i in readable], dtype=np.int64)
            rows = vectors([known[i].packed for i in readable], as_of_us, self.program)
            for i, row in zip(readable, rows, strict=True):
                known[i] = replace(known[i], vector=row)
        return known

    def _scored(self, known: list[Known]) -> list[Known]:
        scorable = [i for i, one in enumerate(known) if one.vector is not None and Degradation.PROFILE_UNAVAILABLE not in one.degraded]
        risks = self._risks([known[i] for i in scorable])
        for i, risk in zip(scorable, risks, strict=True):
            known[i] = _flagged(known[i], Degradation.MODEL_MISSING) if risk is None else replace(known[i], risk=risk)
        return known

    def _with_learned_segments(self, known: list[Known]) -> list[Known]:
        scorer = self.scorer
        told = [i for i, one in enumerate(known) if one.vector is not None]
        if scorer is None or not told:
            return known
        segments = _attempt(lambda: scorer.segments(np.array([known[i].vector for i in told])))
        if segments is None:
            return known
        for i, segment in zip(told, segments, strict=True):
            known[i] = replace(known[i], learned_segment=segment)
        return known

    def _risks(self, known: list[Known]) -> list[float | None]:
        scorer = self.scorer
        if scorer is None or not known:
            return [None] * len(known)
        rows, profiles = np.array([one.vector for one in known]), [self._model_profile(one) for one in known]
        risks = _attempt(lambda: scorer.risk(rows, profiles).tolist())
        if risks is None and len(known) > 1:  # one of them broke it: find out which
            return [risk for one in known for risk in self._risks([one])]
        return [None] * len(known) if risks is None else [risk if 0.0 <= risk <= 1.0 else None for risk in risks]


def _known(user_id: str, now_us: int, packed: bytes | None, profile: Mapping[str, Any] | None) -> Known:
    timeline, missing = _timeline(packed)
    if profile is None:
        missing = (*missing, Degradation.PROFILE_UNAVAILABLE)
    newest_known_us = 0 if timeline is None else timeline.newest_known_us
    return Known(
        user_id=user_id,
        as_of_us=max(now_us, newest_known_us),
        packed=b"" if timeline is None or packed is None else packed,
        n_events=0 if timeline is None else timeline.n_events,
        newest_known_us=newest_known_us,
        coverage_start_us=None if timeline is None else timeline.coverage_start_us,
        profile=_plain(profile or {}),
        degraded=missing,
    )


def _timeline(packed: bytes | None) -> tuple[Timeline | None, tuple[Degradation, ...]]:
    """The timeline, or what to flag for want of it."""
    if packed is None:
        return None, (Degradation.FEATURES_UNAVAILABLE,)
    try:
        return unpack(packed), ()
    except TimelineFormatError as exc:
        _log.warning("degraded: %s: %s", type(exc).__name__, exc)
        why = (Degradation.TIMELINE_NEWER,) if isinstance(exc, NewerTimelineFormatError) else ()
        return None, (Degradation.FEATURES_UNAVAILABLE, *why)


def _read_each(read: Callable[[Sequence[str]], Sequence[T]], user_ids: Sequence[str], patience: Patience) -> Sequence[T | None]:
    """What is stored of each user; None where it could not be read. A row that cannot be decoded costs nobody else theirs."""
    if patience.is_lost:
        return [None] * len(user_ids)
    try:
        return read(user_ids)
    except UnreadableUsersError as exc:
        # Not who they are: a log file is out of an erasure's reach.
        _log.warning("degraded: what is stored of %d users cannot be read", len(exc.user_ids))
        readable = [user_id for user_id in user_ids if user_id not in exc.user_ids]
    except StoreError as exc:
        patience.is_lost = isinstance(exc, StoreTimeoutError)
        _log.warning("degraded: %s: %s", type(exc).__name__, exc)
        return [None] * len(user_ids)
    # Each round leaves somebody out, so this ends; nobody is left to ask when all were to blame.
    rows = dict(zip(readable, _read_each(read, readable, patience) if readable else (), strict=True))
    return [rows.get(user_id) for user_id in user_ids]


def _flagged(known: Known, degradation: Degradation) -> Known:
    return replace(known, degraded=(*known.degraded, degradation))


def _attempt(call: Callable[[], T]) -> T | None:
    """The one place where a failure of a model becomes "missing"."""
    try:
        return call()
    except Exception as exc:  # noqa: BLE001 - a model may fail in any way
        _log.warning("degraded: %s: %s", type(exc).__name__, exc)
        return None


def _plain(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as JSON values, so that what is decided on is what the receipt holds; unset and not-a-number ones are left out."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in profile.items()}
    return {name: value if isinstance(value, str | int | float) else str(value) for name, value in plain.items() if _is_set(value)}


def _is_set(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))
