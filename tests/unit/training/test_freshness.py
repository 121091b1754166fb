"""A log that ends long ago is refused by whatever learns from it, unless an old one is meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.adapters.raw_log import ParquetRawLog
from features.core.event import Event
from tests.unit.training import synthetic
from training.errors import EmptyLogError, StaleLogError
from training.freshness import Look, require_fresh, require_fresh_log

PRODUCT = synthetic.product(horizon_days=5)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def append(folder: Path) -> None:
    ParquetRawLog(folder).append([Event(event_id="1", user_id="a", kind="login", occurred_at=NOON, received_at=NOON)])


def test_a_stale_and_an_empty_log_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyLogError, match="no events"):
        require_fresh(tmp_path, PRODUCT, now=NOON, stale_after=None)
    append(tmp_path)
    require_fresh(tmp_path, PRODUCT, now=NOON + timedelta(days=30), stale_after=timedelta(days=30))
    require_fresh(tmp_path, PRODUCT, now=NOON + timedelta(days=3000), stale_after=None)
    with pytest.raises(StaleLogError, match=r"ends at 2026-03-01T12:00.*30 days, 0:00:01 before.*expected at most 30 days.*--stale-after"):
        require_fresh(tmp_path, PRODUCT, now=NOON + timedelta(days=30, seconds=1), stale_after=timedelta(days=30))


def test_who_does_not_say_when_they_look_takes_a_log_of_any_age(tmp_path: Path) -> None:
    home = synthetic.home_at(tmp_path)
    append(home.raw_dir(PRODUCT.name))
    require_fresh_log(PRODUCT, home, None)
    with pytest.raises(StaleLogError, match="400 days before"):
        require_fresh_log(PRODUCT, home, Look(now=NOON + timedelta(days=400, hours=1)))
