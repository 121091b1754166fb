"""What is known of each user at the moment of the call: timeline, profile, vector, risk, contacts; and what could not be read."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from features.core.ages import ages
from features.core.event import text_hash
from features.core.kernel import vector, vectors
from features.core.product import Product
from features.core.program import Program
from features.core.segments import LEARNED, segment_of, segments_of
from features.core.timeline import unpack
from features.core.timeline_format import NewerTimelineFormatError, TimelineFormatError, summarise
from features.core.weekly import instants_of
from models.timing.benefit import Curve, When
from serving.decision.local_time import utc_offset_s
from serving.decision.policy import TimingRule
from serving.decision.values import Contact, Degradation
from serving.ports import FloatArray, Scorer, StoredPerson

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Known:
    """One user at one as_of; a part that could not be read is empty and named in ``degraded``. Filled in step by step by `Reader`."""

    user_id: str
    as_of_us: int
    packed: bytes
    n_events: int
    newest_known_us: int  # 0 when no event is known
    coverage_start_us: int | None
    profile: dict[str, Any]
    ages: dict[str, float]  # seconds since the instants of the profile, at as_of
    contacts: tuple[Contact, ...] | None  # oldest first; None where they could not be read
    degraded: tuple[Degradation, ...] = ()
    features: dict[str, float] | None = None  # the vector's numbers by name; None where there is no timeline
    vector: FloatArray | None = None  # (n_features,)
    risk: float | None = None
    learned_segment: str | None = None  # id, where the model has learned segments

    @property
    def model_profile(self) -> dict[str, Any]:
        """The profile as the model sees it: with the ages of its instants."""
        return {**self.profile, **self.ages} if self.ages else self.profile


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Understands and scores many users in as few calls as one."""

    product: Product
    program: Program
    scorer: Scorer | None

    def read(self, people: Sequence[StoredPerson], now_us: int) -> list[Known]:
        """What is known of each, in the order given; one unreadable user never costs another their answer."""
        known = [self._known(person, now_us) for person in people]
        readable = [one for one in known if Degradation.FEATURES_UNAVAILABLE not in one.degraded]
        if readable:
            rows = self._fill_vectors(readable)
            self._fill_risks(readable, rows)
            self._fill_learned_segments(readable, rows)
        for one, person in zip(known, people, strict=True):
            if person.is_erased:
                one.degraded = (*one.degraded, Degradation.USER_ERASED)
        return known

    def explain(self, known: Known) -> dict[str, float] | None:
        """Contributions to the risk by cause, log-odds; None when there is no risk to explain or the model fails."""
        scorer, vector = self.scorer, known.vector
        if scorer is None or vector is None or known.risk is None:
            return None
        contributions = _attempt(lambda: scorer.contributions(vector, known.model_profile))
        return None if contributions is None else {cause: float(value) for cause, value in contributions.items() if math.isfinite(value)}

    def curve(self, known: Known, rule: TimingRule, zone: ZoneInfo, names: Sequence[str]) -> Curve | None:
        """What sending in each candidate slot is expected to bring; None where nothing is known of timing.

        ``names``: what a trial may call the message, see `serving.decision.timing.trial_names`.
        """
        scorer, vector = self.scorer, known.vector
        if scorer is None or vector is None:
            return None
        when = When(
            as_of_us=known.as_of_us,
            utc_offset_s=utc_offset_s(known.as_of_us, zone),
            activity_us=instants_of(unpack(known.packed).events, self._activity),
        )
        delays_s = [delay.total_seconds() for delay in rule.delays]
        return _attempt(lambda: scorer.timing_curve(vector, known.model_profile, when=when, delays_s=delays_s, names=names))

    def min_cause_lead(self, contributions: Mapping[str, float] | None, actionable: Collection[str]) -> float:
        """Log-odds by which the top one of the actionable causes must lead to pick the message, as the model says of that cause."""
        if self.scorer is None:
            return 0.0
        raising = {cause: value for cause, value in (contributions or {}).items() if cause in actionable and value > 0}
        top = min(raising, key=lambda cause: (-raising[cause], cause), default="")
        return self.scorer.min_cause_leads.get(top, self.scorer.min_cause_lead)

    def segments(self, known: Known) -> tuple[str | None, dict[str, str]]:
        """The user's segment in the primary segmentation, and by name in every other, the learned one included."""
        profile = None if Degradation.PROFILE_UNAVAILABLE in known.degraded else known.profile
        numbers = None if known.features is None else {**known.features, **known.ages}
        found = segments_of(self.product, numbers, profile)
        if known.learned_segment is not None:
            found[LEARNED] = known.learned_segment
        return segment_of(self.product.segments, numbers, profile), found

    def _known(self, person: StoredPerson, now_us: int) -> Known:
        packed = person.timeline
        summary, degraded = _summary(packed)
        if person.profile is None:
            degraded = (*degraded, Degradation.PROFILE_UNAVAILABLE)
        n_events, newest_known_us, coverage_start_us = summary or _NO_EVENTS
        profile = _plain(person.profile or {})
        as_of_us = max(now_us, newest_known_us)
        return Known(
            user_id=person.user_id,
            as_of_us=as_of_us,
            packed=b"" if summary is None or packed is None else packed,
            n_events=n_events,
            newest_known_us=newest_known_us,
            coverage_start_us=coverage_start_us,
            profile=profile,
            ages=ages(profile, self._instants, as_of_us),
            contacts=None if person.is_erased else person.contacts,
            degraded=degraded,
        )

    def _fill_vectors(self, known: Sequence[Known]) -> FloatArray:
        """Answers the vectors, too, shape (n_users, n_features)."""
        names, columns = self._in_order
        rows = _vectors(known, self.program)
        for one, row, numbers in zip(known, rows, rows.take(columns, axis=1).tolist(), strict=True):
            one.vector, one.features = row, dict(zip(names, numbers, strict=True))
        return rows

    def _fill_risks(self, known: Sequence[Known], rows: FloatArray) -> None:
        scored = [place for place, one in enumerate(known) if Degradation.PROFILE_UNAVAILABLE not in one.degraded]
        if len(scored) < len(known):
            known, rows = [known[place] for place in scored], rows[scored]
        for one, risk in zip(known, self._risks(known, rows), strict=True):
            one.risk = risk
            if risk is None:
                one.degraded = (*one.degraded, Degradation.MODEL_MISSING)

    def _fill_learned_segments(self, known: Sequence[Known], rows: FloatArray) -> None:
        scorer = self.scorer
        segments = None if scorer is None else _attempt(lambda: scorer.segments(rows))
        for one, segment in zip(known, segments or (), strict=False):
            one.learned_segment = segment

    def _risks(self, known: Sequence[Known], rows: FloatArray) -> list[float | None]:
        scorer = self.scorer
        if scorer is None or not known:
            return [None] * len(known)
        risks = _attempt(lambda: scorer.risk(rows, [one.model_profile for one in known]).tolist())
        if risks is None and len(known) > 1:  # one of them broke it: find out which
            return [risk for place, one in enumerate(known) for risk in self._risks([one], rows[place : place + 1])]
        return [None] * len(known) if risks is None else [risk if 0.0 <= risk <= 1.0 else None for risk in risks]

    @cached_property
    def _activity(self) -> npt.NDArray[np.int64]:
        """Hashes of the kinds that count as activity."""
        return np.array([text_hash(kind) for kind in self.product.label.activity], dtype=np.int64)

    @cached_property
    def _instants(self) -> tuple[str, ...]:
        return self.product.instants

    @cached_property
    def _in_order(self) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
        """Names in the order in which receipts state them, so that nothing is left to sort there; and where each lies in the vector."""
        names = self.program.catalogue.feature_names
        columns = sorted(range(len(names)), key=names.__getitem__)
        interned = tuple(sys.intern(names[column]) for column in columns)  # as conditions have them: found without comparing texts
        return interned, np.array(columns, dtype=np.intp)


_NO_EVENTS = summarise(b"")
_AS_THEY_ARE = (str, int)  # bool is an int
_PLAIN = frozenset({str, int, bool})


def _vectors(known: Sequence[Known], program: Program) -> FloatArray:
    """Shape (n_users, n_features)."""
    if len(known) == 1:  # a way of its own in the kernel, at half the cost
        return vector(known[0].packed, known[0].as_of_us, program)[np.newaxis]
    return vectors([one.packed for one in known], np.array([one.as_of_us for one in known], dtype=np.int64), program)


def _summary(packed: bytes | None) -> tuple[tuple[int, int, int | None] | None, tuple[Degradation, ...]]:
    """What the timeline says by itself, or what to flag for want of it."""
    if packed is None:
        return None, (Degradation.FEATURES_UNAVAILABLE,)
    try:
        return summarise(packed), ()
    except TimelineFormatError as exc:
        _log.warning("degraded: %s: %s", type(exc).__name__, exc)
        why = (Degradation.TIMELINE_NEWER,) if isinstance(exc, NewerTimelineFormatError) else ()
        return None, (Degradation.FEATURES_UNAVAILABLE, *why)


def _attempt(call: Callable[[], T]) -> T | None:
    """The one place where a failure of a model becomes "missing"."""
    try:
        return call()
    except Exception as exc:  # noqa: BLE001 - a model may fail in any way
        _log.warning("degraded: %s: %s", type(exc).__name__, exc)
        return None


def _plain(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as JSON values, so that what is decided on is what the receipt holds; unset and not-a-number ones are left out."""
    if _PLAIN.issuperset(map(type, profile.values())):
        return dict(profile)
    plain = {}
    for name, value in profile.items():
        one = value.item() if isinstance(value, np.generic) else value
        if isinstance(one, _AS_THEY_ARE) or (isinstance(one, float) and math.isfinite(one)):
            plain[name] = one
        elif one is not None and not isinstance(one, float):
            plain[name] = str(one)
    return plain
