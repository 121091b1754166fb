from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from features.adapters.alias_log import ParquetAliasLog
from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import read_columns
from features.core.alias import Alias, attach
from features.core.event import Event, to_us
from features.core.timeline import timeline_from_events, unpack
from serving.consistency import Checker, ConsistencyReport, Spread
from tests.certain import certain_policy
from tests.serving_world import FixedScorer, World


class LoggedWorld(World):
    """A world whose events go to a raw log as well; either can be told to wait."""

    def __init__(self, *arguments: Any, raw_log: ParquetRawLog, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.raw_log = raw_log
        self.receipts: list[bytes] = []

    def arrives(self, user_id: str, kind: str, *, ago: timedelta = timedelta(0), late: timedelta = timedelta(0), **content: Any) -> Event:
        self._events += 1
        at = self.now - ago
        return Event(event_id=str(self._events), user_id=user_id, kind=kind, occurred_at=at, received_at=at + late, **content)

    def merges(self, events: Sequence[Event]) -> None:
        for user_id in {event.user_id for event in events}:
            own = [event for event in events if event.user_id == user_id]
            self.timelines.merge({user_id: timeline_from_events(own, self.product.catalogue.kinds)})

    def logs(self, events: Sequence[Event]) -> None:
        self.raw_log.append(events)

    def both(self, events: Sequence[Event]) -> None:
        self.merges(events)
        self.logs(events)

    def asks(self, user_id: str = "ada") -> bytes:
        self.receipts.append(self.answer(user_id).receipt)
        return self.receipts[-1]

    def report(self, receipts: Iterable[bytes] | None = None, **changes: Any) -> ConsistencyReport:
        parts = {
            "product": self.product,
            "raw": read_columns(self.raw_log.raw_dir, self.product),
            "stored": lambda user_id, name: self.ledger.timeline(self.product.name, user_id, name),
        }
        checker = Checker(**{**parts, **changes})
        for receipt in self.receipts if receipts is None else receipts:
            checker.add([receipt])
        return checker.report()


@pytest.fixture
def logged(onboarding, tmp_path):
    """Ada and ben over a day, asked about again and again."""
    policy = certain_policy(onboarding)
    world = LoggedWorld(onboarding, policy, scorer=FixedScorer(said_risk=0.9), raw_log=ParquetRawLog(tmp_path / "raw"))
    for hour in range(6):
        world.person("ada")
        world.both([world.arrives(user, "login", ago=timedelta(minutes=5 * hour), late=timedelta(minutes=5)) for user in ("ada", "ben")])
        world.asks("ada")
        world.asks("ben" if hour else "nobody")
        world.later(hours=1)
    return world


def edited(receipt, **features):
    content = orjson.loads(receipt)
    content["inputs"]["features"].update(features)
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def three(report):
    return (report.total.mismatch, report.total.missing, report.total.extra)


def test_a_consistent_world_gives_nothing_to_say(logged):
    report = logged.report()
    assert report.is_consistent
    assert (report.receipts, report.checked, dict(report.skipped)) == (12, 12, {})
    assert three(report) == (0, 0, 0)
    assert report.total.values == 12 * len(logged.product.catalogue.features)
    assert (report.lagging, report.lag, report.examples) == (0, Spread(), ())


def test_freshness_is_the_age_of_the_newest_known_event(logged):
    spread = logged.report(logged.receipts[:1]).freshness  # as_of is when the event that was to come became known
    assert spread == Spread(p50_s=0.0, p95_s=0.0, max_s=0.0)
    logged.later(hours=3)
    age_s = logged.report([logged.asks("ada")]).freshness.max_s
    expected = (to_us(logged.now) - orjson.loads(logged.receipts[-1])["timeline"]["newest_known_us"]) / 1e6
    assert age_s == expected > 10_000


def test_a_planted_corruption_of_one_receipt_is_found_and_named(logged):
    logged.receipts[4] = edited(
        logged.receipts[4], count_login_30d=99.0, seconds_since_last_key_action=1.0, seconds_since_first_signup=None
    )
    logged.receipts[4] = edited(logged.receipts[4], seconds_since_last_login=None)
    report = logged.report()
    assert not report.is_consistent
    assert three(report) == (1, 1, 1)
    assert (report.by_feature["count_login_30d"].mismatch, report.by_feature["seconds_since_last_login"].missing) == (1, 1)
    assert report.by_feature["seconds_since_last_key_action"].extra == 1
    (example,) = report.examples
    assert example.decision_id == orjson.loads(logged.receipts[4])["decision_id"]
    assert "count_login_30d: 99.0 -> 3.0" in example.features
    assert report.lagging == 0


def test_an_event_that_was_received_and_not_merged_yet_is_lag_and_said_apart(logged):
    waiting = logged.arrives("ada", "login", ago=timedelta(seconds=40))
    logged.logs([waiting])
    logged.asks("ada")
    logged.merges([waiting])
    logged.asks("ada")
    report = logged.report()
    assert report.is_consistent
    assert three(report) == (0, 0, 0)
    assert (report.lagging, report.lag) == (1, Spread(p50_s=40.0, p95_s=40.0, max_s=40.0))
    assert report.lagging_values > 1


def test_lag_does_not_excuse_a_corruption(logged):
    logged.logs([logged.arrives("ada", "login", ago=timedelta(seconds=40))])
    corrupt = edited(logged.asks("ada"), count_login_30d=99.0)
    report = logged.report([corrupt])
    assert (report.lagging, report.is_consistent) == (0, False)
    assert report.total.mismatch > 1


def test_an_event_that_the_log_lost_is_no_lag(logged):
    logged.merges([logged.arrives("ada", "login", ago=timedelta(seconds=40))])
    logged.asks("ada")
    report = logged.report(logged.receipts[-1:])
    assert (report.lagging, report.is_consistent) == (0, False)
    logged.logs([logged.arrives("ada", "login", ago=timedelta(seconds=30))])  # another one that was not merged explains nothing
    assert not logged.report(logged.receipts[-1:]).is_consistent


def test_an_event_that_came_after_the_decision_is_neither(logged):
    logged.asks("ada")
    logged.logs([logged.arrives("ada", "login", ago=timedelta(minutes=5), late=timedelta(minutes=6))])
    report = logged.report(logged.receipts[-1:])
    assert (report.is_consistent, report.lagging) == (True, 0)


def test_without_the_stored_timeline_a_difference_counts(logged):
    logged.logs([logged.arrives("ada", "login", ago=timedelta(seconds=40))])
    logged.asks("ada")
    report = logged.report(logged.receipts[-1:], stored=lambda _user, _hash: None)
    assert (report.lagging, report.is_consistent) == (0, False)


def test_a_flood_that_was_let_go_is_not_taken_for_lag(logged):
    keep = next(kind.keep for kind in logged.product.catalogue.kinds if kind.name == "login")
    flood = [logged.arrives("ada", "login", ago=timedelta(seconds=200 + number)) for number in range(keep + 30)]
    logged.both(flood)
    waiting = logged.arrives("ada", "login", ago=timedelta(seconds=10))
    logged.logs([waiting])
    logged.asks("ada")
    report = logged.report(logged.receipts[-1:])
    assert (report.is_consistent, report.lagging, report.lag.max_s) == (True, 1, 10.0)


def attaches(world, previous_id, user_id):
    """An alias arrives, and is in the log of aliases at once."""
    alias = Alias(previous_id=previous_id, user_id=user_id, occurred_at=world.now, received_at=world.now)
    ParquetAliasLog(world.raw_log.raw_dir.with_name("aliases")).append([alias])
    return alias


def carries(world, alias):
    """What the worker does a moment later."""
    (stored,) = world.timelines.read([alias.previous_id])
    world.timelines.merge({alias.user_id: attach(unpack(stored.packed), alias.known_us)})


def test_s1_19_what_an_id_brings_counts_for_the_person_since_the_alias(logged):
    assert orjson.loads(logged.asks("ada"))["inputs"]["features"]["count_login_30d"] == 6.0
    logged.later(seconds=1)
    carries(logged, attaches(logged, "ben", "ada"))
    assert orjson.loads(logged.asks("ada"))["inputs"]["features"]["count_login_30d"] == 12.0
    logged.later(hours=1)
    logged.asks("ada")
    report = logged.report()
    assert (report.is_consistent, report.lagging, report.checked) == (True, 0, 15)


def test_s1_19_an_alias_that_was_not_carried_out_yet_is_lag(logged):
    alias = attaches(logged, "ben", "ada")
    logged.later(seconds=7)
    logged.asks("ada")  # lacks what ben brings
    logged.asks("ben")  # still asked about by himself: the log says that he is ada by now
    carries(logged, alias)
    logged.asks("ada")
    report = logged.report()
    assert (report.is_consistent, three(report), report.lagging) == (True, (0, 0, 0), 2)
    assert report.lag.max_s >= 7.0
    assert logged.report(logged.receipts[:-3]).lagging == 0
    without = logged.report(logged.receipts[-3:], stored=lambda _user, _hash: None)
    assert not without.is_consistent


def test_what_cannot_be_checked_is_counted_by_reason(logged, onboarding):
    receipt = orjson.loads(logged.receipts[0])
    other = {**receipt, "versions": {**receipt["versions"], "features": "0" * 16}}
    without = {**receipt, "inputs": {**receipt["inputs"], "features": {}}}
    given = [b"?", b"[]", orjson.dumps(other), orjson.dumps(without), logged.receipts[0], logged.receipts[-1]]
    report = logged.report(given, not_after_us=receipt["inputs"]["as_of_us"])
    assert report.skipped == {"not_a_receipt": 2, "other_features": 1, "no_features": 1, "too_recent": 1}
    assert (report.receipts, report.checked, report.is_consistent) == (6, 1, True)
    changed = replace(onboarding, catalogue=replace(onboarding.catalogue, features=onboarding.catalogue.features[:3]))
    assert logged.report(given[-1:], product=changed).skipped == {"other_features": 1}
