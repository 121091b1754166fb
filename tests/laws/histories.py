"""Random histories for the laws, thick with the cases that go wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from hypothesis import strategies as st

from features.core.event import FUTURE_TOLERANCE, Event, from_us, to_us
from tests.laws.catalogues import HALF_HOUR, UNKNOWN_KIND, US, WINDOWS, ZONES
from tests.zone_tables import zone_table

DAY = timedelta(days=1)
# One start lies before 1970, where rounding towards zero and rounding down part ways. The twelve days after the others hold the
# changes of the clock in New York; in Berlin and on Lord Howe, by half an hour; in Berlin and New York back again.
STARTS = (
    datetime(1969, 12, 30, tzinfo=UTC),
    datetime(2026, 3, 1, tzinfo=UTC),
    datetime(2026, 3, 25, tzinfo=UTC),
    datetime(2026, 10, 24, tzinfo=UTC),
)
SPAN = 12 * 48  # half hours
GAPS = (US, timedelta(minutes=2), HALF_HOUR, HALF_HOUR, HALF_HOUR + US, timedelta(hours=1), DAY)
CHANGES = {
    start: [
        from_us(us) for name in filter(None, ZONES) for us in zone_table(name).starts_us if timedelta(0) < from_us(us) - start < 12 * DAY
    ]
    for start in STARTS
}
DELAYS = (timedelta(0), US, timedelta(seconds=2), HALF_HOUR, DAY, timedelta(days=3), -US, -FUTURE_TOLERANCE)
# Two minutes before an event of the grid lies after it, if its sender's clock ran ahead by more.
BESIDE = (timedelta(0), timedelta(0), timedelta(0), US, -US, -timedelta(minutes=2))
VALUES = (None, 0, 1, -7, 1_000, 2**53 + 1, 2**62, -(2**63), 2**63 - 1)
WHAT = (  # kind and subject
    *((kind, subject) for kind in ("login", "hover", UNKNOWN_KIND) for subject in (None, "step one")),
    *(("login", subject) for subject in ("step one", "save")),
    *(("click", subject) for subject in (None, "save", "save", "cancel")),
    *(("page_view", subject) for subject in (None, "pricing", "pricing", "docs/start", "docs")),
)


def moments(start: datetime) -> st.SearchStrategy[datetime]:
    """Mostly on a grid of half hours, which is also that of the windows, or where a clock changes; or just beside."""
    on = [start, *CHANGES[start]]
    grid = [at + number * HALF_HOUR for at in on for number in range(SPAN)]
    return st.builds(lambda at, beside: at + beside, st.sampled_from(grid) | st.sampled_from(on), st.sampled_from(BESIDE))


def instants() -> st.SearchStrategy[datetime]:
    return st.one_of([moments(start) for start in STARTS])


def walks() -> st.SearchStrategy[st.SearchStrategy[datetime]]:
    """A few instants, one after another, just where a run of events breaks or does not."""
    gaps = st.lists(st.sampled_from(GAPS), min_size=8, max_size=8)
    return st.builds(lambda start, steps: st.sampled_from(list(accumulate(steps, initial=start))), st.sampled_from(STARTS), gaps)


def one_event(at: st.SearchStrategy[datetime]) -> st.SearchStrategy[Event]:
    return st.builds(
        lambda occurred_at, delay, event_id, what, value, session_id: Event(
            event_id=event_id,
            user_id="ada",
            kind=what[0],
            occurred_at=occurred_at,
            received_at=occurred_at + delay,
            subject=what[1],
            value=value,
            session_id=session_id,
        ),
        at,
        st.sampled_from(DELAYS),
        st.sampled_from("abc"),
        st.sampled_from(WHAT),
        st.sampled_from(VALUES),
        st.sampled_from((None, None, None, "s1", "s2")),
    )


@st.composite
def histories(draw: st.DrawFn, max_size: int = 30) -> list[Event]:
    """One user's events in any order, with late, early and repeated ones: of a few hours, of days, or with half a century between."""
    at = draw(st.one_of(walks(), st.sampled_from(STARTS).map(moments), st.just(instants())))
    events = draw(st.lists(one_event(at), min_size=draw(st.sampled_from((0, max_size // 2))), max_size=max_size))
    for position in draw(st.lists(st.integers(0, max(len(events) - 1, 0)), max_size=5 if events else 0)):
        again = received(events[position], events[position].occurred_at + draw(st.sampled_from(DELAYS)))
        events.insert(draw(st.sampled_from((0, len(events)))), again)
    return events


def as_ofs(events: list[Event]) -> st.SearchStrategy[int]:
    """Instants that matter to these events: just as one happens, arrives or leaves a window; or any."""
    if not events:
        return instants().map(to_us)
    told = st.sampled_from([at for event in events for at in (event.occurred_at, event.received_at)])
    windows = [timedelta(0), *(window for window in WINDOWS if window is not None and window < timedelta(days=400))]
    later = st.sampled_from([*windows, *(2 * window for window in windows), 40 * DAY])
    at_edges = st.builds(lambda at, age, beside: to_us(at + age + beside), told, later, st.sampled_from(BESIDE))
    return st.one_of(at_edges, at_edges, instants().map(to_us))


def crowded_histories() -> st.SearchStrategy[list[Event]]:
    """More events of a kind than `full_catalogue(keep=2)` keeps, in few sessions and at few instants, many of them late."""
    events = st.builds(
        lambda name, kind, hours, delay, session: Event(
            event_id=name,
            user_id="ada",
            kind=kind,
            occurred_at=STARTS[1] + timedelta(hours=hours),
            received_at=STARTS[1] + timedelta(hours=hours) + delay,
            subject=name,
            session_id=session,
        ),
        st.sampled_from("abc"),
        st.sampled_from(("login", "login", "click")),
        st.integers(0, 15),
        st.sampled_from((timedelta(0), timedelta(0), timedelta(hours=5), DAY, -FUTURE_TOLERANCE)),
        st.sampled_from((None, "s1", "s2")),
    )
    return st.lists(events, min_size=10, max_size=20)


def received(event: Event, received_at: datetime) -> Event:
    """The same event, arriving at another time."""
    return replace(event, received_at=received_at)


def flood(kind: str, n: int, *, start_us: int, subject: str | None = None) -> list[Event]:
    """``n`` events of one kind, a second apart."""
    times = [from_us(start_us + i * 1_000_000) for i in range(n)]
    return [
        Event(event_id=f"flood {i}", user_id="ada", kind=kind, occurred_at=at, received_at=at, subject=subject)
        for i, at in enumerate(times)
    ]
