"""Decisions are read from exported receipts and joined with what became of their users."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import read_columns
from features.core.event import Event
from tests.unit.training import synthetic
from tests.unit.training_thresholds.receipts import export, receipt
from training.drift.live import live_rows
from training.frame import AS_OF, OUTCOME, USER
from training.thresholds.decisions import RISK, read_decisions, with_outcomes
from training.thresholds.errors import ForeignReceiptsError, NoReceiptsError

PRODUCT = synthetic.product(horizon_days=5)
OURS = PRODUCT.catalogue.fingerprint
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def login(user_id: str, at: datetime) -> Event:
    return Event(event_id=f"{user_id}{at}", user_id=user_id, kind="login", occurred_at=at, received_at=at)


def test_of_a_users_day_the_first_decision_counts(tmp_path: Path) -> None:
    hours = [timedelta(hours=h) for h in (0, 3, 14)]
    export(tmp_path, [receipt("a", NOON + h, risk=0.1 * i, features=OURS) for i, h in enumerate(hours)])
    read = read_decisions(tmp_path, PRODUCT)
    assert read.rows[AS_OF].tolist() == [NOON, NOON + timedelta(hours=14)]
    assert read.left_out == {"other features": 0, "no risk": 0, "not the day's first": 1}


def test_decisions_without_a_risk_and_of_other_features_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        receipt("a", NOON, risk=None, features=OURS),
        receipt("b", NOON, risk=0.2, features="other"),
        receipt("c", NOON, risk=0.3, features=OURS),
    ]
    export(tmp_path, rows)
    read = read_decisions(tmp_path, PRODUCT)
    assert read.rows[USER].tolist() == ["c"]
    assert read.left_out == {"other features": 1, "no risk": 1, "not the day's first": 0}


def test_a_receipt_exported_twice_counts_once(tmp_path: Path) -> None:
    export(tmp_path / "day=x", [receipt("a", NOON, risk=0.2, features=OURS)])
    for folder in ("day=1", "day=2"):
        export(tmp_path, [])
        (tmp_path / folder).mkdir(parents=True)
        source = next((tmp_path / "day=x").glob("day=*/part-*.parquet"))
        (tmp_path / folder / "part-0.parquet").write_bytes(source.read_bytes())
    assert len(read_decisions(tmp_path, PRODUCT).rows) == 1


def test_receipts_of_another_product_are_refused_with_both_fingerprints(tmp_path: Path) -> None:
    export(tmp_path, [receipt("a", NOON, risk=0.2, features="0123456789abcdef")])
    with pytest.raises(ForeignReceiptsError, match=rf"all 1 receipts .*0123456789abcdef.* expected those of product tiny, {OURS}"):
        read_decisions(tmp_path, PRODUCT)


def test_no_receipts_and_none_since_then_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NoReceiptsError, match="no receipts in"):
        read_decisions(tmp_path / "nowhere", PRODUCT)
    export(tmp_path, [receipt("a", NOON, risk=0.2, features=OURS)])
    with pytest.raises(NoReceiptsError):
        read_decisions(tmp_path, PRODUCT, since=NOON + timedelta(days=1))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "day=2026-03-01").mkdir()
    (tmp_path / "day=2026-03-01" / "part-0.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(NoReceiptsError, match="could not be read"):
        read_decisions(tmp_path, PRODUCT)


def test_outcomes_are_whether_any_activity_followed_within_the_horizon_once_it_has_passed(tmp_path: Path) -> None:
    raw_dir = tmp_path / "raw"
    raw_dir.mkdir()
    end = NOON + timedelta(days=8)
    ParquetRawLog(raw_dir).append(
        [login("stays", NOON + timedelta(days=5)), login("leaves", NOON + timedelta(days=5, seconds=1)), login("z", end)]
    )
    users = [("stays", NOON), ("leaves", NOON), ("leaves", NOON + timedelta(days=4)), ("stranger", NOON)]
    export(tmp_path / "receipts", [receipt(user, at, risk=0.5, features=OURS) for user, at in users])
    joined = with_outcomes(read_decisions(tmp_path / "receipts", PRODUCT), read_columns(raw_dir, PRODUCT), PRODUCT)
    assert dict(zip(joined.rows[USER], joined.rows[OUTCOME], strict=True)) == {"stays": False, "leaves": True}
    assert joined.left_out["user not in the log"] == 1
    assert joined.left_out["outcome not known yet"] == 1


def test_live_rows_have_the_vector_and_profile_of_the_decision(tmp_path: Path) -> None:
    known = {"numbers": {"count_login_7d": 3.0, "count_login_1d": float("nan")}, "profile": {"plan": "free", "consent": True}}
    export(tmp_path, [receipt("a", NOON, risk=0.25, features=OURS, **known)])
    row = live_rows(tmp_path, PRODUCT).rows.iloc[0]
    assert (row["count_login_7d"], row["plan"], row[RISK], row["invited"]) == (3.0, "free", 0.25, None)
    assert row[["count_login_1d", "count_click_1d"]].isna().all()
    assert "consent" not in row.index
