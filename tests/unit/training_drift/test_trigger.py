"""Reasons to train again have names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from training.drift.compare import LABEL, PREDICTION, ColumnDrift, Drift, Kind, Tolerance
from training.drift.report import drift_page, drift_plot, drift_table
from training.drift.trigger import Reason, Why, reasons

AT = datetime(2026, 3, 1, tzinfo=UTC)
COLUMN = ColumnDrift(
    column="count_login_7d", kind=Kind.NUMBER, psi=0.15, p_value=1e-9, adjusted=1e-7, reference_missing=0, current_missing=0, moved=True
)


def found(*columns: ColumnDrift, alarm: str = "", age_days: int = 1, every: timedelta | None = timedelta(days=30)) -> list[Reason]:
    drift = Drift(tolerance=Tolerance(), columns=columns, reference_users=100, current_users=100)
    return reasons(drift, trained_at=AT, now=AT + timedelta(days=age_days), retrain_every=every, alarm=alarm)


def test_nothing_moved_a_young_model_and_no_alarm_are_no_reason() -> None:
    assert found() == []
    assert found(COLUMN) == []  # a minor move of one feature


@pytest.mark.parametrize("column", [replace(COLUMN, psi=0.3), replace(COLUMN, column=PREDICTION), replace(COLUMN, column=LABEL)])
def test_a_major_move_or_one_of_prediction_or_outcome_is(column: ColumnDrift) -> None:
    (reason,) = found(column)
    assert reason.why is Why.DRIFT
    assert column.column in reason.sentence


def test_what_is_not_shown_beyond_chance_is_no_reason_however_far() -> None:
    assert found(replace(COLUMN, psi=2.0, moved=False)) == []


def test_calendar_and_alarm_are_reasons_of_their_own() -> None:
    assert [each.why for each in found(age_days=30, alarm="everybody: 20 %")] == [Why.CALENDAR, Why.ALARM]
    assert found(age_days=3000, every=None) == []


def test_the_page_says_what_to_do_first() -> None:
    drift = Drift(tolerance=Tolerance(), columns=(replace(COLUMN, psi=0.3),), reference_users=100, current_users=90)
    page = drift_page(drift, found(replace(COLUMN, psi=0.3)), ["now: 90 rows"])
    assert page.index("Train again:") < page.index("count_login_7d") < page.index("| column |")
    assert drift_table(drift)[0]["moved"] == "MOVED"
    (axes,) = drift_plot(drift).axes
    assert len(axes.patches) == 1
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["minor move from 0.1", "major move from 0.2"]
