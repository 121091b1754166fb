from datetime import UTC, datetime, timedelta

import pytest
import xxhash

from features.core.catalogue import Kind
from features.core.columns import columns_from_events
from features.core.event import Event, text_hash
from features.core.timeline import Timeline, TimelineFormatError, merge, pack, timeline_from_events, timelines_from_columns, unpack
from features.core.timeline_format import summarise

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = (Kind(name="login", keep=1, keep_first=1),)


def history(n: int = 6) -> list[Event]:
    """Logins and clicks a minute apart, each known two seconds later."""
    return [
        Event(
            event_id=str(i),
            user_id="ada",
            kind="login" if i % 2 else "click",
            occurred_at=NOON + timedelta(minutes=i),
            received_at=NOON + timedelta(minutes=i, seconds=2),
            subject="step" if i == 2 else None,
            value=100 * i if i > 2 else None,
            session_id="s1" if i < 3 else None,
        )
        for i in range(n)
    ]


VERSION_2 = bytes.fromhex(
    "5348540201010101000400000800f9e175badce0d6fc7cc7326e54ef33460101020100000101000700a56940f54b0600089ded8d36e38ebf3231070010"
    "af35f54b060002040105080088cbc8c210f8bba76dc5aa628cfb5abcb6369641f35c0c9ae7a2168e2540847512f51d0d3a8aa444000380841e00000020"
    "020002900102f401001001000101010001010001000008b0748a2ebe89f85d0008d13049453f5e279a3e47ed6c4cda559b"
)
"""What version 2 is for `history` with `KINDS`."""


def test_the_bytes_of_version_2_stay_as_they_are() -> None:
    timeline = timeline_from_events(history(), KINDS)
    assert pack(timeline) == VERSION_2
    assert (unpack(VERSION_2).events == timeline.events).all()


def test_events_of_undeclared_kinds_are_kept_with_the_defaults() -> None:
    timeline = timeline_from_events(history(), KINDS)
    assert (timeline.events[0] == text_hash("click")).sum() == 3
    again = merge(timeline, Timeline(), (*KINDS, Kind(name="click")))
    assert pack(again) == VERSION_2


def test_coverage_starts_after_the_newest_event_let_go() -> None:
    timeline = timeline_from_events(history(), KINDS)  # logins at 1, 3 and 5 minutes: the one at 3 is let go
    assert timeline.n_events == 5
    assert timeline.coverage_start_us == history()[3].known_us - 2_000_000 + 1
    assert timeline_from_events(history(), ()).coverage_start_us is None


def test_the_bulk_way_in_gives_the_same_timelines() -> None:
    kinds = (*KINDS, Kind(name="click"))
    other = [Event(event_id="9", user_id="bob", kind="click", occurred_at=NOON, received_at=NOON)]
    columns, user_ids = columns_from_events([*history(), *other, *history()], kinds)
    assert user_ids == ["ada", "bob"]
    bulk = timelines_from_columns(columns, 3, kinds)
    assert [pack(timeline) for timeline in bulk] == [VERSION_2, pack(timeline_from_events(other, kinds)), b""]


def test_the_bulk_way_in_refuses_unknown_codes() -> None:
    columns, _ = columns_from_events(history(), (*KINDS, Kind(name="click")))
    with pytest.raises(ValueError, match=r"event 0 of the log: got user code 0 and kind code 1, expected 0 \.\. 0 and 0 \.\. 0"):
        timelines_from_columns(columns, 1, KINDS)


@pytest.mark.parametrize("damaged", [VERSION_2[:3], VERSION_2[:-1], VERSION_2[1:], VERSION_2 + b"\0", b"\0" * 40])
def test_damaged_bytes_are_refused_by_name(damaged: bytes) -> None:
    with pytest.raises(TimelineFormatError, match="run `stillhere rebuild USER_ID`"):
        unpack(damaged)


@pytest.mark.parametrize("position", range(4, len(VERSION_2) - 8))
def test_forged_bytes_are_a_timeline_or_refused(position: int) -> None:
    for byte in (0, 1, 8, 9, 0x7F, 0xFF):
        forged = VERSION_2[:position] + bytes([byte]) + VERSION_2[position + 1 : -8]
        sealed = forged + xxhash.xxh3_64_intdigest(forged).to_bytes(8, "little")
        try:
            unpack(sealed)
        except TimelineFormatError as error:
            assert "do not fit together" in str(error)  # noqa: PT017 - either is right


def test_a_busy_user_takes_at_most_32_bytes_an_event() -> None:
    events = [
        Event(
            event_id=str(i),
            user_id="ada",
            kind=("view", "click", "login", "submit")[i % 4],
            occurred_at=NOON + timedelta(milliseconds=i * 1_234_567),
            received_at=NOON + timedelta(milliseconds=i * 1_234_567 + i * 37 % 2_000, microseconds=i),
            subject=f"page {i % 12}",
            value=i * 977 % 60_000,
            session_id=f"session {i // 8}",
        )
        for i in range(200)
    ]
    timeline = timeline_from_events(events, ())
    assert timeline.n_events == 200
    assert len(pack(timeline)) / 200 <= 32


def test_the_greatest_and_least_numbers_survive_packing() -> None:
    ends = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    events = [
        Event(event_id=str(value), user_id="ada", kind="login", occurred_at=at, received_at=at, value=value)
        for at in ends
        for value in (-(2**63), 2**63 - 1)
    ]
    timeline = timeline_from_events(events, ())
    assert (unpack(pack(timeline)).events == timeline.events).all()


@pytest.mark.parametrize("keep", [2, 100])
@pytest.mark.parametrize("n", [0, 1, 6, 40])
def test_a_summary_says_what_the_whole_timeline_says(n: int, keep: int) -> None:
    timeline = timeline_from_events(history(n), [Kind(name="login", keep=keep, keep_first=1)])
    assert summarise(pack(timeline)) == (timeline.n_events, timeline.newest_known_us, timeline.coverage_start_us)


@pytest.mark.parametrize("position", range(4, 80))
def test_a_summary_refuses_what_the_whole_timeline_refuses(position: int) -> None:
    content = bytearray(pack(timeline_from_events(history(), [])))[:-8]
    content[position % len(content)] ^= 0x55
    forged = bytes(content) + xxhash.xxh3_64_intdigest(bytes(content)).to_bytes(8, "little")
    try:
        whole = unpack(forged)
    except TimelineFormatError:
        with pytest.raises(TimelineFormatError):
            summarise(forged)
    else:
        assert summarise(forged) == (whole.n_events, whole.newest_known_us, whole.coverage_start_us)
