"""Who is found to be silent: edges of the interval, several ids, erased persons, logs without anything in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.adapters.alias_log import ParquetAliasLog
from features.adapters.erase_files import ProductFiles
from features.adapters.raw_log import ParquetRawLog
from features.backfill.silent import Silent, find_silent
from features.core.alias import Alias
from features.core.event import Event
from features.ports import StoreError

NOON = datetime(2024, 5, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


def event(user: str, ago: timedelta, *, kind: str = "login", arrived_ago: timedelta | None = None) -> Event:
    received_at = NOON - (ago if arrived_ago is None else arrived_ago)
    return Event(event_id=f"{user}-{kind}-{ago}", user_id=user, kind=kind, occurred_at=NOON - ago, received_at=received_at)


def alias(previous_id: str, user_id: str, ago: timedelta = DAY) -> Alias:
    return Alias(previous_id=previous_id, user_id=user_id, occurred_at=NOON - ago, received_at=NOON - ago)


@pytest.fixture
def raw_dir(tmp_path: Path) -> Path:
    return tmp_path / "raw"


def silent(raw_dir: Path, *, as_of: datetime = NOON, silent_for: timedelta = 7 * DAY, silent_until: timedelta = 30 * DAY) -> Silent:
    return find_silent(raw_dir, activity=["login", "purchase"], as_of=as_of, silent_for=silent_for, silent_until=silent_until)


@pytest.mark.parametrize(
    ("ago", "is_found"),
    [
        (7 * DAY - MICROSECOND, False),
        (7 * DAY, True),
        (30 * DAY, True),
        (30 * DAY + MICROSECOND, False),
    ],
)
def test_s2_32_both_edges_of_the_interval_are_inside(raw_dir: Path, ago: timedelta, is_found: bool) -> None:
    ParquetRawLog(raw_dir).append([event("ada", ago), event("ada", ago + DAY), event("bob", timedelta(0))])
    assert silent(raw_dir).user_ids == (("ada",) if is_found else ())


def test_what_the_sender_tells_is_no_activity(raw_dir: Path) -> None:
    """An e-mail that reached somebody does not make them any less silent."""
    ParquetRawLog(raw_dir).append([event("ada", 8 * DAY), event("ada", DAY, kind="email_delivered")])
    assert silent(raw_dir) == Silent(user_ids=("ada",), newest_at=NOON - DAY)


def test_who_never_was_active_is_silent_since_the_newest_that_is_known_of_them(raw_dir: Path) -> None:
    ParquetRawLog(raw_dir).append([event("ada", 8 * DAY, kind="course_started"), event("bob", DAY, kind="course_started")])
    assert silent(raw_dir).user_ids == ("ada",)


def test_a_person_of_several_ids_is_found_once_by_the_newest_activity_of_all(raw_dir: Path) -> None:
    log, aliases = ParquetRawLog(raw_dir), ParquetAliasLog(raw_dir.with_name("aliases"))
    log.append([event("phone", 8 * DAY), event("laptop", 9 * DAY), event("ada", 40 * DAY), event("web", DAY), event("ben", 20 * DAY)])
    assert silent(raw_dir).user_ids == ("ben", "laptop", "phone")
    aliases.append([alias("phone", "laptop"), alias("laptop", "ada"), alias("web", "ben")])
    assert silent(raw_dir).user_ids == ("ada",)  # Ben was here a day ago, as web


def test_an_alias_counts_from_when_it_is_known_here_so_that_nobody_is_found_twice(raw_dir: Path) -> None:
    ParquetRawLog(raw_dir).append([event("phone", 8 * DAY), event("ada", 9 * DAY)])
    ParquetAliasLog(raw_dir.with_name("aliases")).append([alias("phone", "ada", ago=-DAY)])
    assert silent(raw_dir).user_ids == ("ada",)


def test_an_erased_person_is_not_found(raw_dir: Path) -> None:
    ParquetRawLog(raw_dir).append([event("phone", 8 * DAY), event("ada", 9 * DAY), event("bob", 9 * DAY)])
    ParquetAliasLog(raw_dir.with_name("aliases")).append([alias("phone", "ada")])
    nowhere = raw_dir.with_name("nothing")
    ProductFiles(product_dir=raw_dir.parent, raw_dir=raw_dir, rejected_dir=nowhere, incoming_dir=nowhere).erase(["ada", "phone"])
    assert silent(raw_dir).user_ids == ("bob",)


def test_the_same_instant_finds_the_same_persons_whoever_came_back_since(raw_dir: Path) -> None:
    log = ParquetRawLog(raw_dir)
    log.append([event("ada", 8 * DAY), event("bob", 8 * DAY)])
    found = silent(raw_dir)
    log.append([event("ada", -timedelta(hours=1))])
    log.append([event("bob", DAY, arrived_ago=-timedelta(minutes=1))])  # was there a day before, as is known by now
    assert silent(raw_dir) == found
    assert silent(raw_dir, as_of=NOON + DAY).user_ids == ()


def test_an_event_of_a_clock_that_ran_ahead_counts_as_of_its_arrival(raw_dir: Path) -> None:
    ahead = timedelta(minutes=5)
    ParquetRawLog(raw_dir).append([event("ada", 7 * DAY - ahead, arrived_ago=7 * DAY)])
    assert silent(raw_dir) == Silent(user_ids=("ada",), newest_at=NOON - 7 * DAY)


@pytest.mark.parametrize("makes", [lambda _: None, lambda raw_dir: raw_dir.mkdir()], ids=["no folder", "an empty one"])
def test_a_log_without_events_has_nobody(raw_dir: Path, makes) -> None:
    makes(raw_dir)
    assert silent(raw_dir) == Silent(user_ids=(), newest_at=None)


def test_of_a_log_that_has_ended_long_ago_it_is_said_when(raw_dir: Path) -> None:
    ParquetRawLog(raw_dir).append([event("ada", 400 * DAY), event("bob", 500 * DAY)])
    assert silent(raw_dir) == Silent(user_ids=(), newest_at=NOON - 400 * DAY)


def test_a_file_that_is_no_parquet_is_named(raw_dir: Path) -> None:
    day = raw_dir / "day=2024-05-01"
    day.mkdir(parents=True)
    (day / "part-0.parquet").write_text("half a file")
    with pytest.raises(StoreError, match=r"cannot be read \(.*part-0\.parquet.*; if this names a file, see whether it is whole"):
        silent(raw_dir)
