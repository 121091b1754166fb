"""What was written in an older format counts like what never was older."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.event import Event, to_us
from features.core.kernel import vector
from features.core.program import compile_program
from features.core.timeline import Timeline, merge, pack, timeline_from_events, unpack
from tests.formats import v1
from tests.laws.histories import histories, instants

KINDS = ("login", "click", "hover")
EVERY_PROPERTY = (
    Aggregation.COUNT,
    Aggregation.SUM,
    Aggregation.DISTINCT_SUBJECTS,
    Aggregation.SECONDS_SINCE_LAST,
    Aggregation.SECONDS_SINCE_FIRST,
    Aggregation.SESSION_COUNT,
)
FEATURES = tuple(
    Feature(aggregation=aggregation, of=of, kinds=names, window=window)
    for aggregation in EVERY_PROPERTY
    for of, names in (*((name, (name,)) for name in KINDS), ("any", KINDS))
    for window in (None, timedelta(days=1))
)
PROGRAM = compile_program(Catalogue(kinds=tuple(Kind(name=name) for name in KINDS), features=FEATURES))


def kinds() -> st.SearchStrategy[tuple[Kind, ...]]:
    keeps = st.tuples(st.sampled_from((1, 2, 3, 64)), st.sampled_from((0, 1, 2)))
    return st.tuples(*(keeps.map(lambda keep, name=name: Kind(name=name, keep=keep[0], keep_first=keep[1])) for name in KINDS))


def as_version_1(timeline: Timeline) -> bytes:
    """What a process of the first release stores for it."""
    return v1.write([tuple(row) for row in timeline.events.T.tolist()], [tuple(key) for key in timeline.let_go.T.tolist()])


@given(histories(), histories(), kinds())
def test_bytes_of_version_1_read_merged_and_written_are_those_that_were_never_older(
    left: list[Event], right: list[Event], kinds: tuple[Kind, ...]
) -> None:
    a, b = timeline_from_events(left, kinds), timeline_from_events(right, kinds)
    old_a, old_b = unpack(as_version_1(a)), unpack(as_version_1(b))
    expected = pack(timeline_from_events([*left, *right], kinds))
    assert pack(old_a) == pack(a)
    assert pack(merge(old_a, b, kinds)) == pack(merge(b, old_a, kinds)) == pack(merge(old_a, old_b, kinds)) == expected
    assert pack(merge(merge(old_a, b, kinds), old_a, kinds)) == expected


@given(histories(), kinds(), instants())
def test_a_vector_is_the_same_from_either_version(events: list[Event], kinds: tuple[Kind, ...], as_of: datetime) -> None:
    timeline = timeline_from_events(events, kinds)
    old, new = (vector(packed, to_us(as_of), PROGRAM) for packed in (as_version_1(timeline), pack(timeline)))
    assert old.tobytes() == new.tobytes()
