"""Random products and histories for the laws, thick with the cases that go wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.event import FUTURE_TOLERANCE, Event, from_us

HALF_HOUR = timedelta(minutes=30)
US = timedelta(microseconds=1)
# One start lies before 1970, where rounding towards zero and rounding down part ways.
STARTS = (datetime(1969, 12, 30, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
WINDOWS = (None, HALF_HOUR, timedelta(hours=1), timedelta(days=1), timedelta(days=2), timedelta(days=7), timedelta(days=999_999_999))
KINDS = ("login", "click", "hover")
GROUPS = {"login": ("login",), "click": ("click",), "hover": ("hover",), "any": KINDS, "work": ("click", "login")}
DELAYS = (timedelta(0), US, timedelta(seconds=2), HALF_HOUR, timedelta(days=1), timedelta(days=3), -US, -FUTURE_TOLERANCE)
VALUES = (None, 0, 1, -7, 1_000, 2**53 + 1, 2**62, -(2**63), 2**63 - 1)


def kinds() -> st.SearchStrategy[tuple[Kind, ...]]:
    keeps = st.tuples(st.sampled_from((1, 2, 3, 64)), st.sampled_from((0, 1, 2)))
    return st.tuples(*(keeps.map(lambda keep, name=name: Kind(name=name, keep=keep[0], keep_first=keep[1])) for name in KINDS))


def features() -> st.SearchStrategy[Feature]:
    return st.builds(
        lambda aggregation, of, window: Feature(aggregation=aggregation, of=of, kinds=GROUPS[of], window=window),
        st.sampled_from(Aggregation),
        st.sampled_from(sorted(GROUPS)),
        st.sampled_from(WINDOWS),
    )


def catalogues() -> st.SearchStrategy[Catalogue]:
    chosen = st.lists(features(), min_size=1, max_size=24, unique_by=lambda feature: feature.name)
    return st.builds(Catalogue, kinds=kinds(), features=chosen.map(tuple))


def full_catalogue(*, keep: int = 64, keep_first: int = 2) -> Catalogue:
    """Every aggregation over every group and window."""
    every = tuple(
        Feature(aggregation=aggregation, of=of, kinds=names, window=window)
        for aggregation in Aggregation
        for of, names in GROUPS.items()
        for window in WINDOWS
    )
    return Catalogue(kinds=tuple(Kind(name=name, keep=keep, keep_first=keep_first) for name in KINDS), features=every)


@st.composite
def instants(draw: st.DrawFn) -> datetime:
    """Often on a grid of half hours, which is also that of the windows; sometimes a microsecond beside it."""
    start = draw(st.sampled_from(STARTS))
    return start + draw(st.integers(0, 12 * 48)) * HALF_HOUR + draw(st.sampled_from((timedelta(0), US, -US)))


@st.composite
def one_event(draw: st.DrawFn) -> Event:
    occurred_at = draw(instants())
    return Event(
        event_id=draw(st.sampled_from("abc")),
        user_id="ada",
        kind=draw(st.sampled_from(KINDS)),
        occurred_at=occurred_at,
        received_at=occurred_at + draw(st.sampled_from(DELAYS)),
        subject=draw(st.sampled_from((None, "step one", "step two"))),
        value=draw(st.sampled_from(VALUES)),
        session_id=draw(st.sampled_from((None, None, "s1", "s2"))),
    )


def crowded_histories() -> st.SearchStrategy[list[Event]]:
    """More events of one kind than `full_catalogue(keep=2)` keeps, at few instants, many of them late."""
    events = st.builds(
        lambda name, hours, delay, session: Event(
            event_id=name,
            user_id="ada",
            kind="login",
            occurred_at=STARTS[1] + timedelta(hours=hours),
            received_at=STARTS[1] + timedelta(hours=hours) + delay,
            subject=name,
            session_id=session,
        ),
        st.sampled_from("abc"),
        st.integers(0, 30),
        st.sampled_from((timedelta(0), timedelta(hours=5), timedelta(days=1), -FUTURE_TOLERANCE)),
        st.sampled_from((None, "s1", "s2")),
    )
    return st.lists(events, min_size=7, max_size=20)


@st.composite
def histories(draw: st.DrawFn, max_size: int = 30) -> list[Event]:
    """One user's events with late, early, reordered and repeated ones."""
    events = draw(st.lists(one_event(), max_size=max_size))
    for position in draw(st.lists(st.integers(0, max(len(events) - 1, 0)), max_size=5 if events else 0)):
        events.append(received(events[position], events[position].occurred_at + draw(st.sampled_from(DELAYS))))
    return draw(st.permutations(events))


def received(event: Event, received_at: datetime) -> Event:
    """The same event, arriving at another time."""
    return Event(
        event_id=event.event_id,
        user_id=event.user_id,
        kind=event.kind,
        occurred_at=event.occurred_at,
        received_at=received_at,
        subject=event.subject,
        value=event.value,
        session_id=event.session_id,
    )


def flood(kind: str, n: int, *, start_us: int) -> list[Event]:
    """``n`` events of one kind, a second apart."""
    times = [from_us(start_us + i * 1_000_000) for i in range(n)]
    return [Event(event_id=f"flood {i}", user_id="ada", kind=kind, occurred_at=at, received_at=at) for i, at in enumerate(times)]
