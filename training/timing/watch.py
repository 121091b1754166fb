"""What is watched of everybody: their activity until the log ends, and the clock on their wall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from features.backfill.columns import NEVER_US, RawColumns
from features.backfill.spine import activity_of, end_of_data_us
from features.core.columns import Int64s
from features.core.product import Product
from training.frame import USER, TrainingFrame
from training.timing.habits import HabitRows, hours_log
from training.timing.returns import ActivityLog, activity_log


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Activity by user code, and each user's zone."""

    user_ids: npt.NDArray[np.object_]  # ascending; the code of a user is the position
    person: Int64s  # (n_users,) code of whom each id ends up attached to
    returns: ActivityLog  # of whole persons: returning under another id is returning
    hours: ActivityLog  # hours of use of each id itself
    zones: Mapping[str, str] = field(default_factory=dict)  # IANA name by user id
    default_zone: str = "UTC"

    def codes(self, user_ids: Sequence[str]) -> Int64s:
        """Code of each user id."""
        code_of = {user_id: code for code, user_id in enumerate(self.user_ids.tolist())}
        return np.array([code_of[user_id] for user_id in user_ids], np.int64)

    def rows_of(self, frame: TrainingFrame) -> HabitRows:
        """Rows of a frame by user code, with the offset of each user's clock at as_of."""
        users = frame.rows[USER].tolist()
        codes, as_of_us = self.codes(users), frame.as_of_us
        return HabitRows(user=codes, person=self.person[codes], as_of_us=as_of_us, utc_offset_s=self.utc_offsets_s(users, as_of_us))

    def utc_offsets_s(self, user_ids: Sequence[str], at_us: Int64s) -> Int64s:
        """Offset of each user's zone from UTC at an instant, in seconds."""
        zones = [_zone(self.zones.get(user_id), self.default_zone) for user_id in user_ids]
        offsets = [
            datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()
            for second, zone in zip((at_us // 1_000_000).tolist(), zones, strict=True)
        ]
        return np.array([0 if offset is None else int(offset.total_seconds()) for offset in offsets], np.int64)

    def user_offsets_s(self) -> Int64s:
        """Offset of every user's zone at the end of the log, shape (n_users,)."""
        return self.utc_offsets_s(self.user_ids.tolist(), np.full(len(self.user_ids), self.hours.end_us))


def watch(raw: RawColumns, product: Product, *, zones: Mapping[str, str] | None = None, default_zone: str = "UTC") -> Watch:
    """Take from a raw log what timing is learned from.

    Parameters
    ----------
    zones
        IANA name by user id, see `zones_at`; whoever is missing lives in ``default_zone``.
    """
    n_users, end_us = len(raw.user_ids), end_of_data_us(raw)
    together = activity_of(raw, product)
    kinds = [index for index, kind in enumerate(product.catalogue.kinds) if kind.name in product.label.activity]
    own = np.isin(raw.columns.kind, kinds) & ~raw.is_attached
    occurred_us = raw.columns.occurred_us - raw.columns.skew_us
    return Watch(
        user_ids=raw.user_ids,
        person=raw.attachments.whom(np.arange(n_users), NEVER_US - 1),
        returns=activity_log(together.user, together.occurred_us, n_users=n_users, end_us=end_us),
        hours=hours_log(activity_log(raw.columns.user[own], occurred_us[own], n_users=n_users, end_us=end_us)),
        zones=zones or {},
        default_zone=default_zone,
    )


def zones_at(profiles_file: Path, attribute: str) -> dict[str, str]:
    """Newest zone of each user in the offline profile history; nobody's where there is no such file or attribute."""
    import pyarrow.parquet as pq

    if not profiles_file.is_file() or attribute not in pq.read_schema(profiles_file).names:
        return {}
    table = pq.read_table(profiles_file, columns=["user_id", "event_timestamp", attribute]).sort_by("event_timestamp")
    pairs = zip(table["user_id"].to_pylist(), table[attribute].to_pylist(), strict=True)
    return {user_id: zone for user_id, zone in pairs if isinstance(zone, str)}


def _zone(name: str | None, default: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or default)
    except (KeyError, ValueError, OSError):  # not a zone, as in `serving.decision.local_time`
        return ZoneInfo(default)
