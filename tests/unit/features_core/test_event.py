from datetime import UTC, datetime, timedelta, timezone

import pytest

from features.core.event import Event, event_hash, from_us, text_hash, to_us

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(**changes: object) -> Event:
    content = {"event_id": "1", "user_id": "ada", "kind": "login", "occurred_at": NOON, "received_at": NOON, **changes}
    return Event(**content)


def test_instants_are_exact_in_both_directions() -> None:
    for us in (-(10**15) - 1, -1, 0, 1, 1_772_366_400_000_001):
        assert to_us(from_us(us)) == us


def test_the_offset_of_an_instant_does_not_matter() -> None:
    assert to_us(NOON) == to_us(NOON.astimezone(timezone(timedelta(hours=5, minutes=45))))


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        to_us(NOON.replace(tzinfo=None))


@pytest.mark.parametrize("change", [{"user_id": "bob"}, {"received_at": NOON + timedelta(days=1)}])
def test_the_hash_ignores_who_and_when_it_arrived(change: dict[str, object]) -> None:
    assert event_hash(event()) == event_hash(event(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": "2"},
        {"kind": "click"},
        {"occurred_at": NOON + timedelta(microseconds=1)},
        {"subject": "a"},
        {"value": 0},
        {"session_id": "s"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_covers_all_other_content(change: dict[str, object]) -> None:
    assert event_hash(event()) != event_hash(event(**change))


def test_hashes_are_the_same_in_every_release() -> None:
    assert text_hash("login") == 5_058_649_952_372_311_932
    assert event_hash(event()) == -777_104_581_314_763_931


def test_an_event_from_the_future_is_skewed_back_to_its_arrival() -> None:
    assert event(occurred_at=NOON + timedelta(minutes=3)).skew_us == 180_000_000
    assert event(occurred_at=NOON - timedelta(minutes=3)).skew_us == 0
