"""What the curve of one user is drawn from, step by step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from features.core.catalogue import Kind
from features.core.event import Event, text_hash, to_us
from features.core.timeline import timeline_from_events
from features.core.weekly import HOUR_US, away_after, decayed_hours, instants_of, usual_after

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
MONDAY_US = to_us(MONDAY)
EVEN = np.full(168, 1 / 168)


def events(*kinds_and_hours: tuple[str, float]) -> np.ndarray:
    happened = [
        Event(event_id=str(number), user_id="ada", kind=kind, occurred_at=MONDAY + timedelta(hours=hour), received_at=MONDAY)
        for number, (kind, hour) in enumerate(kinds_and_hours)
    ]
    return timeline_from_events(happened, [Kind(name=kind) for kind in ("login", "click", "hover")]).events


def test_only_events_of_the_kinds_asked_for_are_instants() -> None:
    kinds = np.array([text_hash("login"), text_hash("click")])
    of_three = events(("login", -3), ("hover", -2), ("click", -1))
    assert sorted(instants_of(of_three, kinds).tolist()) == [MONDAY_US - 3 * HOUR_US, MONDAY_US - HOUR_US]
    assert instants_of(of_three, kinds[:0]).tolist() == instants_of(events(), kinds).tolist() == []


def test_an_event_from_the_future_counts_from_when_it_was_received() -> None:
    """Its clock ran ahead by a minute."""
    assert instants_of(events(("login", 1 / 60)), np.array([text_hash("login")])).tolist() == [MONDAY_US]


@pytest.mark.parametrize(
    ("age_h", "counted"),
    [(0.0, 1.0), (-0.01, 0.0), (24.0, 0.5), (8 * 24.0, 2.0**-8), (8 * 24.0 + 0.01, 0.0)],
)
def test_an_hour_of_use_fades_and_is_forgotten_and_none_comes_from_the_future(age_h: float, counted: float) -> None:
    at_us = np.array([MONDAY_US - round(age_h * HOUR_US)])
    assert decayed_hours(at_us, MONDAY_US, 0, 86_400.0, 8.0).sum() == counted


def test_hours_are_told_apart_in_whatever_order_their_instants_come() -> None:
    at_us = MONDAY_US - np.array([1, HOUR_US, 2, 3 * HOUR_US])  # Sunday 23:59:59.99 twice, 23:00, 21:00
    counts = decayed_hours(at_us, MONDAY_US, -3_600, 1e12, 8.0)
    assert np.flatnonzero(counts).tolist() == [6 * 24 + 20, 6 * 24 + 22]
    assert counts.sum() == pytest.approx(2.0)


def test_the_hour_of_a_slot_is_the_local_one() -> None:
    habit = EVEN.copy()
    habit[9] = 10 / 168
    assert usual_after(habit, MONDAY_US, 3_600, np.array([0.0, 8 * 3_600.0, 8.99 * 3_600, 9 * 3_600.0])) == pytest.approx([1, 10, 10, 1])


def test_who_is_sure_to_return_is_never_quite_gone_from_the_numbers() -> None:
    away = away_after(np.array([[50.0, 0.0]]), np.array([0.0, 10.0, 20.0]), np.array([-1.0, 0.0, 10.0, 20.0, 30.0]))
    assert away[0, :2].tolist() == [1.0, 1.0]
    assert away[0, 2:] == pytest.approx([1e-12] * 3)
