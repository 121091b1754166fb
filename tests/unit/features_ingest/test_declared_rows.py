from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.core.event import Event
from features.core.product import Collection, Product
from features.declarations.log import DailyCountsLog, EventsLog, FileFormat, FileSyntax, ProfilesLog, TimeColumn
from features.ingest.admission import ProfileChange
from features.ingest.declared_rows import Judged, as_integer, daily_judge, event_judge, profile_judge
from features.ingest.rejection import RefusedError, Rejection

CSV = FileSyntax(format=FileFormat.CSV)
AT = TimeColumn(column="at")
NOW = datetime(2024, 6, 1, tzinfo=UTC)
EVENTS = EventsLog(name="app", syntax=CSV, user_id="who", occurred_at=AT, kind_column="what", kind_values={"sign-in": "login"})
PURCHASES = EventsLog(
    name="shop", syntax=CSV, user_id="who", occurred_at=AT, constant_kind="purchase", value="amount", value_multiplier=100, event_id="id"
)
DAILY = DailyCountsLog(
    name="daily",
    syntax=CSV,
    user_id="who",
    date=TimeColumn(column="day", assume_timezone="UTC"),
    kind_columns={"n": "purchase", "m": "purchase"},
)
PROFILES = ProfilesLog(
    name="people", syntax=CSV, user_id="who", attribute_columns={"Plan": "plan", "Seats": "seats", "OK": "consent"}, changed_at=AT
)


def event(judged: list[Judged]) -> Event:
    assert isinstance(judged[0], Event), judged
    return judged[0]


def codes(judged: list[Judged]) -> list[tuple[str, str]]:
    return [(item.code, item.field) for item in judged if isinstance(item, Rejection)]


def row(**values: Any) -> Mapping[str, Any]:
    return {"who": "ada", "what": "login", "at": "2024-05-01T10:00:00Z"} | values


def test_columns_are_mapped_and_history_was_received_when_it_occurred(product: Product) -> None:
    admitted = event(event_judge(EVENTS, product, NOW)(row(what="sign-in", who=7)))
    assert (admitted.user_id, admitted.kind) == ("7", "login")
    assert admitted.received_at == admitted.occurred_at == datetime(2024, 5, 1, 10, tzinfo=UTC)


def test_ids_that_are_not_in_the_file_come_from_content_and_number_and_are_the_same_in_every_import(product: Product) -> None:
    rows = [row(), row(at="2024-05-01T10:00:01Z"), row(), row(who="bob"), row()]

    def ids() -> list[str]:
        judge = event_judge(EVENTS, product, NOW)
        return [event(judge(values)).event_id for values in rows]

    first = ids()
    assert first == ids()
    assert len(set(first)) == len(rows)
    assert [first[2], first[4]] == [f"{first[0]}/1", f"{first[0]}/2"]
    assert first[0].startswith("app/")


def test_a_declared_received_at_is_when_the_event_was_known_but_never_after_the_import(product: Product) -> None:
    judge = event_judge(
        EventsLog(name="app", syntax=CSV, user_id="who", occurred_at=AT, kind_column="what", received_at=TimeColumn(column="got")),
        product,
        NOW,
    )
    assert event(judge(row(got="2024-05-02T00:00:00Z"))).received_at == datetime(2024, 5, 2, tzinfo=UTC)
    assert event(judge(row(got="2025-01-01T00:00:00Z"))).received_at == NOW
    assert event(judge(row(got=None))).received_at == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert codes(judge(row(got="soon"))) == [("bad_timestamp", "got")]


def test_an_event_after_the_import_is_refused_beyond_the_tolerance(product: Product) -> None:
    judge = event_judge(EVENTS, product, NOW)
    assert event(judge(row(at=(NOW + timedelta(minutes=5)).isoformat()))).received_at == NOW
    assert codes(judge(row(at="2024-06-01T00:05:01Z"))) == [("future_timestamp", "occurred_at")]


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"who": None}, "missing_user", "user_id"),
        ({"who": "u" * 129}, "user_id_too_long", "user_id"),
        ({"what": "logout"}, "unknown_kind", "kind"),
        ({"what": None}, "missing_kind", "kind"),
        ({"at": None}, "missing_timestamp", "occurred_at"),
        ({"at": "2024-05-01T10:00:00"}, "naive_timestamp", "at"),
        ({"what": "purchase"}, "bad_value", "value"),
        ({"what": ["login"]}, "unknown_kind", "kind"),
    ],
)
def test_a_bad_row_is_refused_with_a_code(values: dict[str, Any], code: str, field: str, product: Product) -> None:
    assert codes(event_judge(EVENTS, product, NOW)(row(**values))) == [(code, field)]


@pytest.mark.parametrize(
    ("amount", "cents"),
    [("29.33", 2933), ("0.1", 10), (29.33, 2933), (5, 500), ("1e2", 10_000), ("-3", -300), ("92233720368547758.07", 2**63 - 1)],
)
def test_values_are_multiplied_exactly(amount: Any, cents: int, product: Product) -> None:
    assert event(event_judge(PURCHASES, product, NOW)(row(id="p1", amount=amount))).value == cents


@pytest.mark.parametrize(
    "amount",
    ["29.333", "cheap", "NaN", "Infinity", "1e9999999", "92233720368547758.08", True, float("nan"), [1], "1 000", "1." + "0" * 70 + "1"],
)
def test_a_value_that_is_no_integer_in_its_unit_is_refused(amount: Any, product: Product) -> None:
    assert codes(event_judge(PURCHASES, product, NOW)(row(id="p1", amount=amount))) == [("bad_value", "amount")]


def test_an_integer_column_says_what_it_expects() -> None:
    with pytest.raises(RefusedError, match=r"n: got '1\.5', expected a 64-bit integer"):
        as_integer("1.5", "n")


def test_each_count_of_a_wide_row_is_one_event_at_noon_that_is_known_when_the_day_is_over(product: Product) -> None:
    judged = daily_judge(DAILY, product, NOW)({"who": "ada", "day": "2024-05-01", "n": "3", "m": 2.0})
    events = [item for item in judged if isinstance(item, Event)]
    assert [(item.kind, item.value, item.event_id) for item in events] == [
        ("purchase", 3, "daily/purchase/2024-05-01"),
        ("purchase", 2, "daily/purchase/2024-05-01"),
    ]
    assert {item.occurred_at for item in events} == {datetime(2024, 5, 1, 12, tzinfo=UTC)}
    assert {item.received_at for item in events} == {datetime(2024, 5, 2, tzinfo=UTC)}


def test_a_count_of_the_day_of_the_import_is_known_at_the_import(product: Product) -> None:
    evening = datetime(2024, 5, 1, 20, tzinfo=UTC)
    assert event(daily_judge(DAILY, product, evening)({"who": "ada", "day": "2024-05-01", "n": "3"})).received_at == evening


@pytest.mark.parametrize("nothing", [None, "0", 0, "0.0", 0.0])
def test_a_count_of_nothing_is_no_event(nothing: Any, product: Product) -> None:
    assert daily_judge(DAILY, product, NOW)({"who": "ada", "day": "2024-05-01", "n": nothing}) == []


def test_a_bad_count_leaves_the_others_of_its_row(product: Product) -> None:
    judged = daily_judge(DAILY, product, NOW)({"who": "ada", "day": "2024-05-01", "n": "-3", "m": "4"})
    assert codes(judged) == [("bad_value", "n")]
    assert [item.value for item in judged if isinstance(item, Event)] == [4]


def test_a_bad_user_or_day_of_a_wide_row_is_said_once(product: Product) -> None:
    judge = daily_judge(DAILY, product, NOW)
    assert codes(judge({"who": None, "day": "2024-05-01", "n": "3", "m": "4"})) == [("missing_user", "user_id")]
    assert codes(judge({"who": "ada", "day": None, "n": "3", "m": "4"})) == [("missing_timestamp", "day")]
    assert codes(judge({"who": "ada", "day": "May", "n": "3", "m": "4"})) == [("bad_timestamp", "day")]


def test_a_profile_row_sets_what_it_states(product: Product) -> None:
    judged = profile_judge(PROFILES, product, NOW)(row(Plan="pro", Seats="7", OK="True"))
    assert judged == [
        ProfileChange(
            user_id="ada", attributes={"plan": "pro", "seats": 7.0, "consent": True}, known_at=datetime(2024, 5, 1, 10, tzinfo=UTC)
        )
    ]
    typed = profile_judge(PROFILES, product, NOW)(row(Plan=3, Seats=7, OK=False))
    assert isinstance(typed[0], ProfileChange)
    assert typed[0].attributes == {"plan": "3", "seats": 7.0, "consent": False}


def test_empty_attributes_of_a_profile_row_say_nothing(product: Product) -> None:
    judge = profile_judge(PROFILES, product, NOW)
    partly = judge(row(Plan="pro"))
    assert isinstance(partly[0], ProfileChange)
    assert partly[0].attributes == {"plan": "pro"}
    assert judge(row()) == []


def test_a_profile_that_is_declared_known_since_the_beginning_is(product: Product) -> None:
    undated = ProfilesLog(name="people", syntax=CSV, user_id="who", attribute_columns={"Plan": "plan"})
    judged = profile_judge(undated, product, NOW)({"who": "ada", "Plan": "pro"})
    assert isinstance(judged[0], ProfileChange)
    assert judged[0].known_at == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "field"), [({"Seats": "many"}, "traits.seats"), ({"OK": "perhaps"}, "traits.consent"), ({"Seats": "nan"}, "traits.seats")]
)
def test_a_bad_attribute_is_refused(values: dict[str, str], field: str, product: Product) -> None:
    assert codes(profile_judge(PROFILES, product, NOW)(row(**values))) == [("bad_attribute", field)]


def test_s1_15_a_no_in_a_bad_profile_row_counts_from_when_it_was_said(product: Product) -> None:
    asking = dataclasses.replace(product, collection=Collection(attribute="consent", unless_said=True))
    (refused,) = profile_judge(PROFILES, asking, NOW)(row(Seats="many", OK="no"))
    assert isinstance(refused, Rejection)
    assert refused.taken == ProfileChange(user_id="ada", attributes={"consent": False}, known_at=datetime(2024, 5, 1, 10, tzinfo=UTC))


@pytest.mark.parametrize("at", [None, "last week"])
def test_a_no_of_which_nobody_knows_when_it_was_said_may_be_older_than_a_yes(product: Product, at: str | None) -> None:
    asking = dataclasses.replace(product, collection=Collection(attribute="consent", unless_said=True))
    (refused,) = profile_judge(PROFILES, asking, NOW)({**row(OK="no"), "at": at})
    assert isinstance(refused, Rejection)
    assert refused.taken is None


@pytest.mark.parametrize(("text", "hint"), [("29,33", True), ("1,234.50", True), ("free", False)])
def test_a_comma_in_a_number_is_refused_with_what_to_write(text: str, hint: bool) -> None:
    with pytest.raises(RefusedError) as refused:
        as_integer(text, "amount", 100)
    assert ("with a decimal point and nothing between thousands" in refused.value.rejection.message) is hint
