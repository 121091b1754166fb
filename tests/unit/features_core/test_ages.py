from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from features.core.ages import age_s, ages, canonical_instant


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00.000001Z", "2026-03-01T12:00:00.000001Z"),
        (datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1))), "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00", None),
        ("2026-03-01", None),
        ("soon", None),
        ("9999-12-31T23:59:59-05:00", None),
        (datetime(2026, 3, 1), None),  # noqa: DTZ001
        (0, None),
        (None, None),
    ],
)
def test_an_instant_is_kept_in_one_way_or_refused(given, kept):
    assert canonical_instant(given) == kept
    if kept is not None:
        assert canonical_instant(kept) == kept


def test_an_age_is_exact_to_the_microsecond_and_grows_by_itself():
    at = datetime(2026, 3, 1, tzinfo=UTC)
    as_of_us = int(at.timestamp()) * 1_000_000
    assert age_s("2026-03-01T00:00:00Z", as_of_us + 1) == 1e-6
    assert age_s("2026-03-01T00:00:00Z", as_of_us - 3_000_000) == -3.0


@pytest.mark.parametrize("value", [None, math.nan, 5, "soon", "2026-03-01T12:00:00", True])
def test_what_is_no_instant_has_no_age(value):
    assert math.isnan(age_s(value, 0))
    assert ages({"signup_at": value}, ("signup_at",), 0) == {}
