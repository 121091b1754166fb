from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from features.core.event import Event, event_hash, text_hash
from features.ingest.event_table import SCHEMA, event_table

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds the zone
EVENTS = st.builds(
    Event,
    event_id=TEXT,
    user_id=TEXT,
    kind=TEXT,
    occurred_at=INSTANTS,
    received_at=INSTANTS,
    subject=st.none() | TEXT,
    value=st.none() | st.integers(-(2**63), 2**63 - 1),
    session_id=st.none() | TEXT,
)


@given(events=st.lists(EVENTS, max_size=5))
def test_hashes_of_a_table_are_the_hashes_of_its_events(events: list[Event]) -> None:
    table = event_table(events)
    assert table.schema == SCHEMA
    assert table["event_hash"].to_pylist() == [event_hash(event) for event in events]
    assert table["subject_hash"].to_pylist() == [text_hash(event.subject) if event.subject else 0 for event in events]
    assert table["session_hash"].to_pylist() == [text_hash(event.session_id) if event.session_id else 0 for event in events]


@given(events=st.lists(EVENTS, max_size=5))
def test_a_table_gives_back_every_event_exactly(events: list[Event]) -> None:
    columns = ["event_id", "user_id", "kind", "occurred_at", "received_at", "subject", "value", "session_id"]
    assert [Event(**row) for row in event_table(events).select(columns).to_pylist()] == events


def test_instants_in_other_zones_are_stored_in_utc() -> None:
    from zoneinfo import ZoneInfo

    noon = datetime(2024, 7, 1, 12, 0, 0, 1, tzinfo=ZoneInfo("Asia/Kolkata"))
    stored = event_table([Event(event_id="e", user_id="u", kind="k", occurred_at=noon, received_at=noon)])["occurred_at"][0].as_py()
    assert stored == noon
    assert stored.utcoffset() == timedelta(0)
