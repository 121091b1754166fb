from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from features.core.catalogue import Aggregation
from features.declarations.log import FileFormat, FileSyntax
from features.draft.columns import Column, DraftError, KindLook, Look, Overrides
from features.draft.horizon import can_be_split, guess_horizon, windows_for
from features.draft.kinds import MOST_KINDS, OTHER, plan_kinds
from features.draft.numbers import guess_value
from features.draft.plan import MOST_FEATURES, PlannedKind, group_name, plan_features
from features.draft.roles import Roles, guess_roles
from features.draft.times import guess_time

DAY_US = 86_400_000_000
TIMES = ("2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z")


def column(name: str, *, distinct: int = 10, rows: int = 100, texts: tuple[str, ...] = ("a", "b"), decimals: int | None = None) -> Column:
    numbers = 0 if decimals is None else rows
    return Column(
        name=name, n_rows=rows, n_filled=rows, n_distinct=distinct, n_numbers=numbers, decimals=decimals or 0, largest=100, texts=texts
    )


def look(*columns: Column) -> Look:
    return Look(path=Path("log.csv"), syntax=FileSyntax(format=FileFormat.CSV, file="log.csv"), columns=columns, n_rows=100)


def segment_like() -> Look:
    return look(
        column("messageId", distinct=100),
        column("userId"),
        column("event", distinct=4),
        column("timestamp", texts=TIMES),
        column("receivedAt", texts=TIMES),
        column("session_id", distinct=30),
        column("page", distinct=7),
        column("revenue", decimals=2, texts=("1.5",)),
        column("utm"),
    )


def test_columns_are_told_by_their_names_however_they_are_written() -> None:
    roles = guess_roles(segment_like(), Overrides())
    assert (roles.user, roles.time, roles.kind, roles.received, roles.event_id) == (
        "userId",
        "timestamp",
        "event",
        "receivedAt",
        "messageId",
    )
    assert (roles.session, roles.subject, roles.value and roles.value.unit, roles.unused) == ("session_id", "page", "cents", ("utm",))
    assert roles.reasons["user_id"] == "by its name"


def test_what_the_person_says_counts_more() -> None:
    said = Overrides(user="utm", time="receivedAt", kind="page", value="none")
    roles = guess_roles(segment_like(), said)
    assert (roles.user, roles.time, roles.kind, roles.value, roles.subject) == ("utm", "receivedAt", "page", None, None)
    assert roles.reasons["user_id"] == "you said so"
    assert guess_roles(segment_like(), Overrides(kind="visit")).constant_kind == "visit"
    assert guess_roles(segment_like(), Overrides(kind="visit")).kind is None


def test_a_log_without_a_kind_column_is_of_one_kind() -> None:
    log = look(column("customer_id"), column("date", texts=("1997-01-01",)), column("amount", decimals=2))
    assert guess_roles(log, Overrides()).constant_kind == "purchase"
    assert guess_roles(log, Overrides(value="none")).constant_kind == "event"


def test_content_decides_where_names_do_not() -> None:
    log = look(column("learner_key_id"), column("stamp", texts=("31.12.2025 10:00",)), column("what"))
    roles = guess_roles(log, Overrides())
    assert (roles.user, roles.time, roles.time_format.format) == ("learner_key_id", "stamp", "%d.%m.%Y %H:%M")


@pytest.mark.parametrize(
    ("log", "said", "message"),
    [
        (look(column("x"), column("timestamp", texts=TIMES)), Overrides(), "the user, got the columns x, timestamp; name it with --user"),
        (look(column("user_id"), column("x")), Overrides(), "says when an event happened, got the columns user_id, x; name it with --time"),
        (look(column("user_id", distinct=100), column("time", texts=TIMES)), Overrides(), "which column names the user"),
        (segment_like(), Overrides(user="nobody"), "--user nobody: log.csv has no such column, expected one of the columns messageId"),
        (segment_like(), Overrides(time="page"), "--time page: got values such as 'a', 'b', expected instants"),
        (segment_like(), Overrides(user="timestamp", time="timestamp"), "--user timestamp: that column has another role"),
        (segment_like(), Overrides(value="page"), "--value page: got values such as 'a', 'b', expected numbers"),
        (look(column("user_id"), column("time", texts=TIMES), column("k", distinct=500)), Overrides(kind="k"), "at most 200"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_said_with_the_option_that_settles_it(log: Look, said: Overrides, message: str) -> None:
    with pytest.raises(DraftError) as refused:
        guess_roles(log, said)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("2026-03-01 12:00:00", "2026-03-02 12:00:00.5"), ("iso", False, True)),
        (("2026-03-01T12:00:00+01:00",), ("iso", True, True)),
        (("20260301", "20260302"), ("iso", False, False)),
        (("1712121212", "1712121213.25"), ("epoch_s", True, True)),
        (("1712121212000",), ("epoch_ms", True, True)),
        (("1712121212000000",), ("epoch_us", True, True)),
        (("12/31/2025", "01/02/2026"), ("%m/%d/%Y", False, False)),
        (("31/12/2025 23:59:59",), ("%d/%m/%Y %H:%M:%S", False, True)),
        (("10/Oct/2000:13:55:36 -0700",), ("%d/%b/%Y:%H:%M:%S %z", True, True)),
        (("7", "8"), None),
        (("x", "2026-03-01"), None),
        ((), None),
    ],
)
def test_times(texts: tuple[str, ...], expected: tuple[str, bool, bool] | None) -> None:
    guess = guess_time(texts)
    assert (None if guess is None else (guess.format, guess.has_offset, guess.has_clock)) == expected


def test_a_few_bad_times_do_not_hide_the_format_and_are_counted() -> None:
    guess = guess_time(("2026-03-01",) * 99 + ("never",))
    assert guess is not None
    assert (guess.format, guess.read) == ("iso", 0.99)


@pytest.mark.parametrize(
    ("name", "decimals", "expected"),
    [
        ("price", 1, ("cents", 100)),
        ("price", 3, ("price / 1000", 1_000)),
        ("dwell_seconds", 1, ("ms", 1_000)),
        ("load_ms", 0, ("ms", 1)),
        ("points", 0, ("points", 1)),
        ("score", 7, None),
    ],
)
def test_units(name: str, decimals: int, expected: tuple[str, int] | None) -> None:
    guess = guess_value(column(name, decimals=decimals))
    assert (None if guess is None else (guess.unit, guess.multiplier)) == expected


def test_numbers_too_large_for_exact_sums_are_no_values() -> None:
    assert guess_value(Column(name="amount", n_rows=1, n_filled=1, n_distinct=1, n_numbers=1, decimals=2, largest=1e18)) is None


def roles(**changes: object) -> Roles:
    return guess_roles(segment_like(), Overrides(**changes))  # type: ignore[arg-type]


def kind_look(value: str, n: int, **filled: int) -> KindLook:
    return KindLook(value=value, n_rows=n, busiest=5, n_filled={"page": 0, "revenue": 0, **filled})


def test_each_kind_declares_what_its_rows_carry() -> None:
    plan = plan_kinds([kind_look("Page View", 100, page=100), kind_look("order", 10, revenue=10), kind_look("login", 50)], roles())
    assert [(kind.name, kind.subject, kind.value_unit) for kind in plan.kinds] == [
        ("page_view", "page", None),
        ("login", None, None),
        ("order", None, "cents"),
    ]
    assert plan.notes == ()


def test_a_column_that_a_kind_has_only_now_and_then_is_left_out_and_said() -> None:
    plan = plan_kinds([kind_look("view", 100, page=50), kind_look("order", 100, revenue=99)], roles())
    assert (plan.roles.subject, plan.roles.value is None) == (None, False)
    assert "Column page looks like a subject, but is filled in only some rows of 'view'" in plan.notes[1]
    assert "break with the others on column revenue; they will be refused" in plan.notes[0]


def test_rare_kinds_beyond_the_limit_are_one_kind() -> None:
    plan = plan_kinds([kind_look(f"k{n}", 1_000 - n) for n in range(MOST_KINDS + 5)], roles())
    assert len(plan.kinds) == MOST_KINDS + 1
    assert (plan.kinds[-1].name, plan.kinds[-1].values) == (OTHER, tuple(f"k{MOST_KINDS + n}" for n in range(5)))


@pytest.mark.parametrize("n_kinds", [1, 2, 3, 7, 15, 41])
@pytest.mark.parametrize("rich", [False, True])
def test_the_catalogue_keeps_to_its_budget(n_kinds: int, rich: bool) -> None:
    extras = {"subject": "page", "value_unit": "ms"} if rich else {}
    kinds = [PlannedKind(name=f"k{n}", n_rows=n, **extras) for n in range(n_kinds)]
    planned = plan_features(kinds, timedelta(days=7), has_clock=True)
    assert (22 if n_kinds == 1 and not rich else 30) <= sum(entry.size for entry in planned) <= MOST_FEATURES
    named = {name for entry in planned for name in entry.of}
    assert (group_name(kinds) in named) is (n_kinds > 1)
    assert f"k{n_kinds - 1}" in named  # the most frequent
    assert {entry.aggregation for entry in planned} >= {Aggregation.COUNT, Aggregation.ACTIVE_DAYS, Aggregation.SECONDS_SINCE_LAST}


def test_the_group_of_all_never_has_a_kinds_name() -> None:
    assert group_name([PlannedKind(name="use"), PlannedKind(name="any_kind")]) == "all_kinds"


def test_windows_are_round_and_around_the_horizon() -> None:
    assert [window.days for window in windows_for(timedelta(days=30), 5)] == [14, 21, 30, 45, 60]
    assert len(windows_for(timedelta(days=365), 10)) == 10


def visits(n_users: int, *, every_days: int, days: int, leave_after: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rows = [
        (user, day * DAY_US + user)
        for user in range(n_users)
        for day in range(user % every_days, days, every_days)
        if leave_after is None or user % 2 or day < leave_after + user % 160
    ]
    table = np.array(rows, dtype=np.int64)
    return table[:, 0], table[:, 1]


def test_the_horizon_covers_nine_of_ten_gaps_and_leaves_room_for_a_split() -> None:
    guess = guess_horizon(*visits(200, every_days=6, days=200, leave_after=40))
    assert (guess.common_gap, guess.horizon) == (timedelta(days=6), timedelta(days=7))
    assert guess.base_rate is not None
    assert 0.01 < guess.base_rate < 0.5
    assert guess.spine.active_within == guess.horizon
    assert guess.n_rows > 1_000


def test_a_short_log_gets_a_shorter_horizon_than_it_wants() -> None:
    guess = guess_horizon(*visits(200, every_days=6, days=30, leave_after=10))
    assert guess.common_gap == timedelta(days=6)
    assert guess.horizon <= timedelta(days=5)


def test_nobody_and_one_event_are_answered_too() -> None:
    assert guess_horizon(np.empty(0, np.int64), np.empty(0, np.int64)).base_rate is None
    assert guess_horizon(np.zeros(1, np.int64), np.zeros(1, np.int64)).common_gap is None


def test_a_slice_of_one_outcome_is_no_slice() -> None:
    as_of_us = np.arange(1_000)
    assert not can_be_split(as_of_us, as_of_us < 800, horizon_us=10, least_rows=20)
