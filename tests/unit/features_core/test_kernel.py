from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import xxhash

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.columns import EventColumns, columns_from_events
from features.core.event import Event, to_us
from features.core.families import PARAMETERS
from features.core.kernel import batch_vectors, vector, vectors
from features.core.program import Program, compile_program
from features.core.timeline import TimelineFormatError, pack, timeline_from_events

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY, US = timedelta(days=1), timedelta(microseconds=1)
KINDS = (Kind(name="login"), Kind(name="click"))


def event(at: datetime, *, name: str = "1", kind: str = "login", delay: timedelta = timedelta(0), **content: object) -> Event:
    return Event(event_id=name, user_id="ada", kind=kind, occurred_at=at, received_at=at + delay, **content)


def program(aggregation: Aggregation, *, window: timedelta | None = None, keep: int = 64) -> Program:
    feature = Feature(aggregation=aggregation, of="login", kinds=("login",), window=window)
    return compile_program(Catalogue(kinds=(Kind(name="login", keep=keep, keep_first=0), KINDS[1]), features=(feature,)))


def value(events: list[Event], as_of: datetime, using: Program) -> float:
    """The one feature of ``using``, online and in batch, which must agree."""
    online = vector(pack(timeline_from_events(events, using.catalogue.kinds)), to_us(as_of), using)
    columns, _ = columns_from_events(events, using.catalogue.kinds)
    batch = batch_vectors(columns, 1, np.zeros(1, np.int64), np.array([to_us(as_of)]), using)
    assert np.array_equal(online, batch[0], equal_nan=True)
    return float(online[0])


def test_a_window_is_open_at_its_old_end_and_closed_at_as_of() -> None:
    day = program(Aggregation.COUNT, window=DAY)
    assert value([event(NOON)], NOON, day) == 1
    assert value([event(NOON)], NOON - US, day) == 0
    assert value([event(NOON)], NOON + DAY - US, day) == 1
    assert value([event(NOON)], NOON + DAY, day) == 0


def test_an_event_counts_only_once_it_is_known() -> None:
    late = [event(NOON, delay=timedelta(hours=3))]
    assert value(late, NOON + timedelta(hours=3) - US, program(Aggregation.COUNT)) == 0
    assert value(late, NOON + timedelta(hours=3), program(Aggregation.COUNT)) == 1


def test_an_event_from_the_future_counts_as_of_its_arrival() -> None:
    early = [event(NOON, delay=-timedelta(minutes=4))]
    assert value(early, NOON - timedelta(minutes=4), program(Aggregation.SECONDS_SINCE_LAST)) == 0
    assert value(early, NOON, program(Aggregation.SECONDS_SINCE_LAST)) == 240


def test_a_repeated_event_counts_once_and_is_known_since_its_first_arrival() -> None:
    twice = [event(NOON, delay=DAY), event(NOON, delay=US)]
    assert value(twice, NOON + US, program(Aggregation.COUNT)) == 1
    assert value(twice, NOON + 2 * DAY, program(Aggregation.COUNT)) == 1


def test_a_count_saturates_at_keep() -> None:
    many = [event(NOON + i * US, name=str(i)) for i in range(10)]
    assert value(many, NOON + DAY, program(Aggregation.COUNT, keep=4)) == 4


@pytest.mark.parametrize("values", [[2**63 - 1] * 5, [-(2**63)] * 5, [2**53, 1, 1, -1], [2**62, 2**62, 1], [-(2**62)] * 2 + [-1], [-1, -1]])
def test_a_sum_is_exact_however_great(values: list[int]) -> None:
    events = [event(NOON + i * US, name=str(i), value=each) for i, each in enumerate(values)]
    assert value(events, NOON + DAY, program(Aggregation.SUM)) == float(sum(values))


def test_a_streak_may_end_yesterday_but_not_before() -> None:
    three_days = [event(NOON + i * DAY, name=str(i)) for i in range(3)]
    streak = program(Aggregation.STREAK_DAYS)
    assert [value(three_days, NOON + i * DAY, streak) for i in (2, 3, 4)] == [3, 3, 0]
    assert value(three_days, NOON + 2 * DAY, program(Aggregation.STREAK_DAYS, window=DAY)) == 1


def test_days_before_1970_are_days_too() -> None:
    eve = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert value([event(eve), event(eve + US, name="2")], eve + DAY, program(Aggregation.ACTIVE_DAYS)) == 2
    assert value([event(eve), event(eve - DAY + US, name="2")], eve, program(Aggregation.STREAK_DAYS)) == 1


def test_events_without_a_session_make_one_session_until_a_gap_of_more_than_half_an_hour() -> None:
    minutes = (0, 30, 60, 91)
    events = [event(NOON + timedelta(minutes=m), name=str(m)) for m in minutes]
    named = [event(NOON + timedelta(minutes=45), name="named", session_id="s")]
    assert value(events, NOON + DAY, program(Aggregation.SESSION_COUNT)) == 2
    assert value([*events, *named], NOON + DAY, program(Aggregation.SESSION_COUNT)) == 3


def test_nothing_known_is_zero_or_not_a_number() -> None:
    assert value([], NOON, program(Aggregation.COUNT)) == 0
    assert np.isnan(value([], NOON, program(Aggregation.SECONDS_SINCE_LAST)))


def test_the_example_of_the_documentation_holds() -> None:
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    hours = (9, 24 + 9, 48 + 9, 48 + 23)
    logins = [event(monday + timedelta(hours=hour), name=str(hour)) for hour in hours]
    thursday = monday + timedelta(days=3, hours=12)
    assert value(logins, thursday, program(Aggregation.COUNT, window=DAY)) == 1
    assert value(logins, thursday, program(Aggregation.COUNT, window=2 * DAY)) == 2
    assert value(logins, thursday, program(Aggregation.ACTIVE_DAYS, window=7 * DAY)) == 3
    assert value(logins, thursday, program(Aggregation.STREAK_DAYS)) == 3
    assert value(logins, thursday + DAY, program(Aggregation.STREAK_DAYS)) == 0
    assert value(logins, thursday, program(Aggregation.SECONDS_SINCE_LAST)) == 46_800


def full_program() -> Program:
    windows = (None, DAY, 7 * DAY)
    plain = [a for a in Aggregation if a not in PARAMETERS]
    features = [Feature(aggregation=a, of="any", kinds=("login", "click"), window=w) for a in plain for w in windows]
    return compile_program(Catalogue(kinds=KINDS, features=tuple(features)))


def many_users(n_users: int) -> EventColumns:
    random = np.random.default_rng(3)
    n = 40 * n_users
    occurred_us = to_us(NOON) + random.integers(0, 30 * 86_400, n) * 1_000_000
    return EventColumns(
        user=random.integers(0, n_users, n),
        kind=random.integers(0, 2, n).astype(np.int16),
        occurred_us=occurred_us,
        known_us=occurred_us + random.integers(0, 10_000_000, n),
        skew_us=np.zeros(n, np.int64),
        event_hash=random.integers(-(2**63), 2**63 - 1, n),
        subject=random.integers(0, 5, n),
        value=random.integers(-5, 5, n),
        session=random.integers(0, 9, n),
    )


def test_the_number_of_threads_changes_nothing() -> None:
    columns, users = many_users(1000), np.arange(1000)
    as_of_us = np.full(1000, to_us(NOON + 15 * DAY))
    one, three = (batch_vectors(columns, 1000, users, as_of_us, full_program(), threads=threads) for threads in (1, 3))
    assert np.array_equal(one, three, equal_nan=True)


def test_many_timelines_are_shared_out_and_come_back_in_order() -> None:
    using, as_of_us = full_program(), to_us(NOON + 40 * DAY)
    packed = [pack(timeline_from_events([event(NOON + i * DAY, name=str(n)) for i in range(n % 30)], KINDS)) for n in range(350)]
    alone = np.stack([vector(one, as_of_us + user, using) for user, one in enumerate(packed)])
    for threads in (1, 2, 3, 50):
        found = vectors(packed, as_of_us + np.arange(350), using, threads=threads)
        assert np.array_equal(found, alone, equal_nan=True)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_user_whose_bytes_do_not_fit_together_is_named(threads: int) -> None:
    packed = [pack(timeline_from_events([event(NOON)], KINDS))] * 350
    forged = bytearray(packed[0][:-8])
    forged[8] = 0xFF  # more kinds let go than there can be
    packed[340] = packed[260] = bytes(forged) + xxhash.xxh3_64_intdigest(bytes(forged)).to_bytes(8, "little")
    with pytest.raises(TimelineFormatError, match="user 260 of 350"):
        vectors(packed, np.full(350, to_us(NOON)), full_program(), threads=threads)


def test_rows_may_come_in_any_order_and_repeat() -> None:
    columns = many_users(50)
    users = np.array([7, 3, 7, 49, 7])
    as_of_us = np.array([to_us(NOON + i * DAY) for i in (20, 5, 10, 20, 20)])
    found = batch_vectors(columns, 50, users, as_of_us, full_program())
    alone = [batch_vectors(columns, 50, users[i : i + 1], as_of_us[i : i + 1], full_program())[0] for i in range(5)]
    assert np.array_equal(found, np.stack(alone), equal_nan=True)


@pytest.mark.parametrize("keep", [3, 64])
def test_each_row_of_a_user_sees_what_was_known_by_then(keep: int) -> None:
    using = compile_program(
        Catalogue(kinds=tuple(replace(kind, keep=keep, keep_first=0) for kind in KINDS), features=full_program().catalogue.features)
    )
    columns = many_users(30)
    late = np.random.default_rng(4).random(len(columns)) < 0.05
    columns = replace(columns, known_us=columns.known_us + np.where(late, 3 * 86_400_000_000, 0))
    users, as_of_us = np.repeat(np.arange(30), 6), np.tile([to_us(NOON + i * DAY) for i in (3, 12, 6, 31, 20, 13)], 30)
    found = batch_vectors(columns, 30, users, as_of_us, using)
    alone = [batch_vectors(columns, 30, users[i : i + 1], as_of_us[i : i + 1], using)[0] for i in range(len(users))]
    assert np.array_equal(found, np.stack(alone), equal_nan=True)


def test_a_clock_corrected_later_moves_the_event_in_every_row() -> None:
    once, corrected = event(NOON), event(NOON, delay=-timedelta(hours=2))
    columns, _ = columns_from_events([once, corrected], KINDS)
    columns = replace(columns, known_us=columns.known_us.max() + np.array([0, 86_400_000_000]))
    as_of_us = np.array([to_us(NOON + timedelta(hours=20)), to_us(NOON + 3 * DAY)])
    early = batch_vectors(columns, 1, np.zeros(1, np.int64), as_of_us[:1], full_program())
    both = batch_vectors(columns, 1, np.zeros(2, np.int64), as_of_us, full_program())
    assert np.array_equal(early[0], both[0], equal_nan=True)


def test_columns_that_may_not_be_written_are_as_good() -> None:
    columns = many_users(20)
    frozen = {name: getattr(columns, name).copy() for name in ("user", "kind", "subject")}
    for array in frozen.values():
        array.flags.writeable = False
    rows = (20, np.arange(20), np.full(20, to_us(NOON + 9 * DAY)), full_program())
    assert np.array_equal(batch_vectors(columns, *rows), batch_vectors(replace(columns, **frozen), *rows), equal_nan=True)


def test_many_threads_may_ask_at_once() -> None:
    using = full_program()
    packed = pack(timeline_from_events([event(NOON + i * DAY, name=str(i)) for i in range(60)], KINDS))
    as_of_us = to_us(NOON + 61 * DAY)
    expected = vector(packed, as_of_us, using)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: vector(packed, as_of_us, using), range(200)))
    assert all(np.array_equal(answer, expected, equal_nan=True) for answer in answers)


def test_what_does_not_fit_together_is_refused() -> None:
    columns, using = many_users(3), full_program()
    with pytest.raises(ValueError, match="2 timelines and 1 as_of"):
        vectors([b"", b""], np.zeros(1, np.int64), using)
    with pytest.raises(ValueError, match="2 users and 1 as_of"):
        batch_vectors(columns, 3, np.zeros(2, np.int64), np.zeros(1, np.int64), using)
    with pytest.raises(ValueError, match=r"spine: got user codes 3 \.\. 3, expected 0 \.\. 2"):
        batch_vectors(columns, 3, np.full(1, 3), np.zeros(1, np.int64), using)
    with pytest.raises(ValueError, match="of the log: got user code 2"):
        batch_vectors(columns, 2, np.zeros(1, np.int64), np.zeros(1, np.int64), using)


def test_what_is_known_cannot_be_known_later_than_as_of() -> None:
    columns, using = many_users(3), full_program()
    zeros = np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="row 0: got known_us 1 after as_of_us 0"):
        vector(b"", 0, using, known_us=1)
    with pytest.raises(ValueError, match="row 1: got known_us 3 after as_of_us 0"):
        vectors([b"", b""], zeros, using, known_us=np.array([0, 3]))
    with pytest.raises(ValueError, match="got 1 instants for 2 rows"):
        batch_vectors(columns, 3, zeros, zeros, using, spine_known_us=np.zeros(1, np.int64))


def test_an_as_of_to_come_is_that_of_a_user_who_stays_silent() -> None:
    since = program(Aggregation.SECONDS_SINCE_LAST)
    packed = pack(timeline_from_events([event(NOON)], KINDS))
    later_us = to_us(NOON + DAY)
    assert vector(packed, later_us, since, known_us=to_us(NOON)).tolist() == [86_400]
    assert np.isnan(vector(packed, later_us, since, known_us=to_us(NOON) - 1)).all()


def test_no_timelines_give_no_vectors() -> None:
    assert vectors([], np.zeros(0, np.int64), full_program()).shape == (0, full_program().n_features)


def test_a_log_without_events_gives_the_vectors_of_nobody() -> None:
    columns, _ = columns_from_events([], KINDS)
    found = batch_vectors(columns, 2, np.array([1]), np.array([0]), full_program())
    assert np.array_equal(found[0], vector(b"", 0, full_program()), equal_nan=True)


def test_bytes_that_are_no_timeline_are_refused() -> None:
    with pytest.raises(TimelineFormatError, match="expected at least"):
        vector(b"SHT", 0, full_program())
