from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import features.ingest.admission as admission_module
from features.core.alias import Alias
from features.core.event import Event, event_hash
from features.core.product import Collection, Product
from features.ingest.admission import ProfileChange, admit, admit_identify, admit_item
from features.ingest.rejection import Rejection

LOGIN = {"event_id": "e1", "user_id": "ada", "kind": "login", "occurred_at": "2024-05-01T11:59:58.123456Z"}
PURCHASE = LOGIN | {"kind": "purchase", "value": 1999}
VIEW = LOGIN | {"kind": "page_view", "subject": "pricing"}
IDENTIFY = {"type": "identify", "user_id": "ada", "traits": {"plan": "pro"}, "occurred_at": "2024-05-01T11:00:00Z"}
ALIAS = {"type": "alias", "previous_id": "phone-7", "user_id": "ada", "occurred_at": "2024-05-01T11:00:00Z"}
NUL = "a\0b"

REFUSED = [
    # wire item, code, field
    ("text", "malformed", ""),
    (None, "malformed", ""),
    ([LOGIN], "malformed", ""),
    ({}, "missing_event_id", "event_id"),
    (LOGIN | {"event_id": None}, "missing_event_id", "event_id"),
    (LOGIN | {"event_id": ""}, "bad_event_id", "event_id"),
    (LOGIN | {"event_id": NUL}, "bad_event_id", "event_id"),
    (LOGIN | {"event_id": 7}, "bad_event_id", "event_id"),
    (LOGIN | {"event_id": "e" * 129}, "event_id_too_long", "event_id"),
    (LOGIN | {"user_id": None}, "missing_user", "user_id"),
    (LOGIN | {"user_id": " \t"}, "bad_user_id", "user_id"),
    (LOGIN | {"user_id": "\ud800"}, "bad_user_id", "user_id"),
    (LOGIN | {"user_id": ["ada"]}, "bad_user_id", "user_id"),
    (LOGIN | {"user_id": "é" * 129}, "user_id_too_long", "user_id"),
    (LOGIN | {"kind": None}, "missing_kind", "kind"),
    (LOGIN | {"kind": "logout"}, "unknown_kind", "kind"),
    (LOGIN | {"kind": {"a": 1}}, "unknown_kind", "kind"),
    (LOGIN | {"occurred_at": None}, "missing_timestamp", "occurred_at"),
    (LOGIN | {"occurred_at": "yesterday"}, "bad_timestamp", "occurred_at"),
    (LOGIN | {"occurred_at": "2024-02-30T10:00:00Z"}, "bad_timestamp", "occurred_at"),
    (LOGIN | {"occurred_at": 1714561198}, "bad_timestamp", "occurred_at"),
    (LOGIN | {"occurred_at": "1969-12-31T23:59:59Z"}, "bad_timestamp", "occurred_at"),
    (LOGIN | {"occurred_at": "0001-01-01T00:00:00+14:00"}, "bad_timestamp", "occurred_at"),
    (LOGIN | {"occurred_at": "2024-05-01T11:59:58"}, "naive_timestamp", "occurred_at"),
    (LOGIN | {"occurred_at": "2024-05-01"}, "naive_timestamp", "occurred_at"),
    (LOGIN | {"occurred_at": "2024-05-01T12:05:00.000001Z"}, "future_timestamp", "occurred_at"),
    (LOGIN | {"occurred_at": "9999-12-31T23:59:59-14:00"}, "future_timestamp", "occurred_at"),
    (LOGIN | {"subject": "pricing"}, "bad_subject", "subject"),
    (VIEW | {"subject": None}, "bad_subject", "subject"),
    (VIEW | {"subject": ""}, "bad_subject", "subject"),
    (VIEW | {"subject": NUL}, "bad_subject", "subject"),
    (VIEW | {"subject": 5}, "bad_subject", "subject"),
    (VIEW | {"subject": "s" * 257}, "bad_subject", "subject"),
    (LOGIN | {"value": 1}, "bad_value", "value"),
    (PURCHASE | {"value": None}, "bad_value", "value"),
    (PURCHASE | {"value": float("nan")}, "bad_value", "value"),
    (PURCHASE | {"value": float("inf")}, "bad_value", "value"),
    (PURCHASE | {"value": 19.99}, "bad_value", "value"),
    (PURCHASE | {"value": True}, "bad_value", "value"),
    (PURCHASE | {"value": "1999"}, "bad_value", "value"),
    (PURCHASE | {"value": 2**63}, "bad_value", "value"),
    (PURCHASE | {"value": 10**5000}, "bad_value", "value"),
    (PURCHASE | {"value": float(2**63)}, "bad_value", "value"),
    (LOGIN | {"session_id": ""}, "bad_session_id", "session_id"),
    (LOGIN | {"session_id": "s" * 129}, "session_id_too_long", "session_id"),
]

REFUSED_CHANGES = [
    ("text", "malformed", ""),
    (IDENTIFY | {"user_id": None}, "missing_user", "user_id"),
    (IDENTIFY | {"occurred_at": "2024-05-01T12:06:00Z"}, "future_timestamp", "occurred_at"),
    (IDENTIFY | {"traits": None}, "missing_traits", "traits"),
    (IDENTIFY | {"traits": {}}, "missing_traits", "traits"),
    (IDENTIFY | {"traits": ["plan"]}, "missing_traits", "traits"),
    (IDENTIFY | {"traits": {"colour": "red"}}, "unknown_attribute", "traits.colour"),
    (IDENTIFY | {"traits": {"plan": 7}}, "bad_attribute", "traits.plan"),
    (IDENTIFY | {"traits": {"plan": None}}, "bad_attribute", "traits.plan"),
    (IDENTIFY | {"traits": {"plan": "p" * 257}}, "bad_attribute", "traits.plan"),
    (IDENTIFY | {"traits": {"timezone": NUL}}, "bad_attribute", "traits.timezone"),
    (IDENTIFY | {"traits": {"seats": "7"}}, "bad_attribute", "traits.seats"),
    (IDENTIFY | {"traits": {"seats": True}}, "bad_attribute", "traits.seats"),
    (IDENTIFY | {"traits": {"seats": float("nan")}}, "bad_attribute", "traits.seats"),
    (IDENTIFY | {"traits": {"seats": 10**400}}, "bad_attribute", "traits.seats"),
    (IDENTIFY | {"traits": {"consent": 1}}, "bad_attribute", "traits.consent"),
]


@pytest.mark.parametrize(("item", "code", "field"), REFUSED)
def test_a_bad_event_is_refused_with_its_code_and_field(item: object, code: str, field: str, product: Product, noon: datetime) -> None:
    refused = admit(item, product, noon)
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.field) == (code, field)
    assert re.fullmatch(rf"{field or 'item'}: got .+, expected .+", refused.message)
    assert len(refused.message) < 300


@pytest.mark.parametrize(("item", "code", "field"), REFUSED_CHANGES)
def test_a_bad_profile_change_is_refused_with_its_code_and_field(
    item: object, code: str, field: str, product: Product, noon: datetime
) -> None:
    refused = admit_identify(item, product, noon)
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.field) == (code, field)
    assert len(refused.message) < 300


REFUSED_ALIASES = [
    (ALIAS | {"previous_id": None}, "missing_previous_id", "previous_id"),
    (ALIAS | {"previous_id": ""}, "bad_previous_id", "previous_id"),
    (ALIAS | {"previous_id": 7}, "bad_previous_id", "previous_id"),
    (ALIAS | {"previous_id": "p" * 129}, "previous_id_too_long", "previous_id"),
    (ALIAS | {"previous_id": "ada"}, "alias_cycle", "previous_id"),
    (ALIAS | {"user_id": None}, "missing_user", "user_id"),
    (ALIAS | {"occurred_at": "2024-05-01T11:00:00"}, "naive_timestamp", "occurred_at"),
    (IDENTIFY | {"anonymous_id": NUL}, "bad_anonymous_id", "anonymous_id"),
    (IDENTIFY | {"anonymous_id": "p" * 129}, "anonymous_id_too_long", "anonymous_id"),
    (IDENTIFY | {"anonymous_id": "ada"}, "alias_cycle", "anonymous_id"),
    (IDENTIFY | {"anonymous_id": "phone-7", "traits": {"colour": "red"}}, "unknown_attribute", "traits.colour"),
]


@pytest.mark.parametrize(("item", "code", "field"), REFUSED_ALIASES)
def test_a_bad_alias_is_refused_with_code_and_field(item: object, code: str, field: str, product: Product, noon: datetime) -> None:
    refused = admit_item(item, product, noon)
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.field) == (code, field)
    assert "got " in refused.message
    assert "expected " in refused.message


def test_an_alias_counts_from_when_it_was_received(product: Product, noon: datetime) -> None:
    alias = admit_item(ALIAS, product, noon)
    assert alias == Alias(previous_id="phone-7", user_id="ada", occurred_at=noon - timedelta(hours=1), received_at=noon)


@pytest.mark.parametrize("traits", [{"plan": "pro"}, {}, None])
def test_identify_with_an_anonymous_id_attaches_it_and_may_leave_the_traits_out(traits: object, product: Product, noon: datetime) -> None:
    change = admit_item(IDENTIFY | {"anonymous_id": "phone-7", "traits": traits}, product, noon)
    assert isinstance(change, ProfileChange)
    assert change.attributes == (traits or {})
    assert change.alias == admit_item(ALIAS, product, noon)


def test_every_code_is_in_the_table_and_every_row_of_the_table_is_tested() -> None:
    documented = set(re.findall(r"^([a-z_]+) {2,}\S", admission_module.__doc__ or "", re.MULTILINE)) - {"code"}
    shown = {code for _, code, _ in REFUSED + REFUSED_CHANGES + REFUSED_ALIASES}
    assert documented == shown | {"bad_label"}  # labels stand only in files: see test_label_rows.py


def test_a_good_event_is_admitted_as_it_was_sent(product: Product, noon: datetime) -> None:
    admitted = admit(VIEW | {"session_id": "s1", "colour": "ignored"}, product, noon)
    assert admitted == Event(
        event_id="e1",
        user_id="ada",
        kind="page_view",
        occurred_at=datetime(2024, 5, 1, 11, 59, 58, 123456, tzinfo=UTC),
        received_at=noon,
        subject="pricing",
        session_id="s1",
    )


@pytest.mark.parametrize(
    "sent", ["2024-05-01T12:00:00Z", "2024-05-01T14:00:00+02:00", "20240501T120000Z", "2024-05-01 12:00:00.000000+00:00"]
)
def test_the_same_instant_written_differently_is_the_same_event(sent: str, product: Product, noon: datetime) -> None:
    first, second = (admit(LOGIN | {"occurred_at": text}, product, noon) for text in ("2024-05-01T12:00:00Z", sent))
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert event_hash(first) == event_hash(second)


def test_a_clock_that_runs_ahead_is_tolerated_for_five_minutes_and_kept_as_sent(product: Product, noon: datetime) -> None:
    admitted = admit(LOGIN | {"occurred_at": "2024-05-01T12:05:00Z"}, product, noon)
    assert isinstance(admitted, Event)
    assert admitted.occurred_at == noon + timedelta(minutes=5)
    assert admitted.skew_us == 300_000_000


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, -(2**63), 3.0])
def test_integers_are_values_also_when_json_wrote_them_as_floats(value: float, product: Product, noon: datetime) -> None:
    admitted = admit(PURCHASE | {"value": value}, product, noon)
    assert isinstance(admitted, Event)
    assert admitted.value == value
    assert type(admitted.value) is int


@pytest.mark.parametrize("off", [timedelta(minutes=4), timedelta(minutes=-7), timedelta(days=-9)])
def test_a_profile_change_keeps_types_and_counts_from_when_it_was_received(off: timedelta, product: Product, noon: datetime) -> None:
    traits = {"plan": "pro", "seats": 7, "consent": False, "timezone": "Europe/Berlin"}
    change = admit_identify(IDENTIFY | {"traits": traits, "occurred_at": (noon + off).isoformat()}, product, noon)
    assert change == ProfileChange(user_id="ada", attributes=traits | {"seats": 7.0}, known_at=noon)


def test_the_two_wire_forms_are_told_apart_by_type(product: Product, noon: datetime) -> None:
    assert isinstance(admit_item(LOGIN, product, noon), Event)
    assert isinstance(admit_item(LOGIN | {"type": "event"}, product, noon), Event)
    assert isinstance(admit_item(IDENTIFY, product, noon), ProfileChange)
    for unknown in ("page", 1, ["identify"], {}):
        refused = admit_item(LOGIN | {"type": unknown}, product, noon)
        assert isinstance(refused, Rejection)
        assert (refused.code, refused.field) == ("malformed", "type")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
)
ITEMS = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["event", "identify", "page", None]),
            "event_id": JSON | st.just("e1"),
            "user_id": JSON | st.just("ada"),
            "kind": JSON | st.sampled_from(["login", "purchase", "page_view"]),
            "occurred_at": JSON | st.datetimes().map(datetime.isoformat) | st.just("2024-05-01T11:00:00Z"),
            "subject": JSON,
            "value": JSON,
            "session_id": JSON,
            "traits": JSON | st.dictionaries(st.sampled_from(["plan", "seats", "consent", "timezone"]), JSON),
        },
    ),
)


@given(item=ITEMS)
def test_whatever_is_sent_is_admitted_or_refused_and_can_be_stored_and_answered(item: object, product: Product) -> None:
    judged = admit_item(item, product, datetime(2024, 5, 1, 12, tzinfo=UTC))
    if isinstance(judged, Event):
        assert isinstance(event_hash(judged), int)
    elif isinstance(judged, Rejection):
        orjson.dumps([judged.code, judged.field, judged.message])  # what HTTP answers with


NO = {"consent": False}


@pytest.mark.parametrize(
    "slip",
    [
        {"traits": NO | {"plan": 7}},
        {"traits": NO | {"colour": "red"}},
        {"traits": {"colour": "red"} | NO},
        {"traits": NO, "occurred_at": "2024-05-01T12:06:00Z"},
        {"traits": NO, "occurred_at": None},
        {"traits": NO, "anonymous_id": "ada"},
        {"traits": NO, "anonymous_id": NUL},
    ],
    ids=str,
)
@pytest.mark.parametrize("unless_said", [False, True])
def test_s1_15_a_no_to_being_tracked_counts_whatever_else_is_wrong(slip, unless_said, product: Product, noon: datetime) -> None:
    asking = dataclasses.replace(product, collection=Collection(attribute="consent", unless_said=unless_said))
    refused = admit_item(IDENTIFY | slip, asking, noon)
    assert isinstance(refused, Rejection)
    assert refused.taken == ProfileChange(user_id="ada", attributes=NO, known_at=noon)
    plain = admit_item(IDENTIFY | slip, product, noon)
    assert plain == dataclasses.replace(refused, taken=None)


@pytest.mark.parametrize(
    "item",
    [
        IDENTIFY | {"user_id": None, "traits": NO},
        IDENTIFY | {"user_id": NUL, "traits": NO | {"plan": 7}},
        IDENTIFY | {"traits": {"consent": True, "plan": 7}},
        IDENTIFY | {"traits": {"consent": 0}},
        IDENTIFY | {"traits": {"consent": None}},
        IDENTIFY | {"traits": [NO]},
        IDENTIFY | {"type": "page", "traits": NO},
        LOGIN | {"kind": "gone", "traits": NO},
        ["identify"],
    ],
    ids=str,
)
def test_of_any_other_refused_item_nothing_counts(item: object, product: Product, noon: datetime) -> None:
    refused = admit_item(item, dataclasses.replace(product, collection=Collection(attribute="consent")), noon)
    assert isinstance(refused, Rejection)
    assert refused.taken is None
