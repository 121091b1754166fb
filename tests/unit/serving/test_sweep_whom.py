"""Whom a sweep leaves out, and what it does while nobody can say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from features.adapters.raw_log import ParquetRawLog
from features.core.event import Event
from features.ports import StoreError
from serving.cli.sweep_whom import WAITS_S, looking, patiently
from serving.settings import read_settings
from tests.certain import certain_product

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
EDGES = {"silent_for": timedelta(days=1), "silent_until": timedelta(days=90)}


def test_a_redis_that_is_started_again_is_waited_for_and_said_once(capsys):
    waits = []

    def read():
        if len(waits) < 3:
            raise StoreError("no Redis answers")
        return ["ada"]

    assert patiently(read, waits.append) == ["ada"]
    assert waits == list(WAITS_S[:3])
    assert capsys.readouterr().err.count("cannot be read (no Redis answers); trying again for two minutes") == 1


def test_one_that_stays_away_ends_the_sweep_rather_than_that_anybody_is_asked_about():
    def read():
        raise StoreError("no Redis answers")

    waits = []
    with pytest.raises(StoreError, match="no Redis answers"):
        patiently(read, waits.append)
    assert sum(waits) == 121.5


def test_where_nobody_knows_which_redis_is_meant_none_is_started_that_knows_of_no_refusal(tmp_path):
    product = certain_product(tmp_path / "product")
    settings = read_settings({"STILLHERE_HOME": str(tmp_path / "home"), "STILLHERE_PRODUCT": str(product)})
    at = NOW - timedelta(days=2)
    event = Event(event_id="e", user_id="ada", kind="login", occurred_at=at, received_at=at)
    ParquetRawLog(settings.home.raw_dir("onboarding")).append([event])
    assert looking(settings, **EDGES, may_start_redis=False, wait=pytest.fail)(NOW).user_ids == ("ada",)
    declared = (product / "product.yaml").read_text()
    (product / "product.yaml").write_text(f"{declared}\ncollection: {{attribute: consent, unless_said: kept}}\n")
    with pytest.raises(StoreError, match=r"none runs on .*start it with `stillhere serve`, or name its Redis with STILLHERE_REDIS_URL"):
        looking(settings, **EDGES, may_start_redis=False, wait=pytest.fail)(NOW)
    assert not settings.home.redis_dir.exists()
