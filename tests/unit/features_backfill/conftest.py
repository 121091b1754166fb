from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.event import Event
from features.core.product import Label, Product, SpineRule

KINDS = (Kind(name="login", keep=3, keep_first=1), Kind(name="purchase", value_unit="cents"), Kind(name="page_view", subject="page"))
NAMES = tuple(kind.name for kind in KINDS)
FEATURES = (
    Feature(aggregation=Aggregation.COUNT, of="login", kinds=("login",), window=timedelta(days=7)),
    Feature(aggregation=Aggregation.SUM, of="purchase", kinds=("purchase",)),
    Feature(aggregation=Aggregation.DISTINCT_SUBJECTS, of="page_view", kinds=("page_view",), window=timedelta(days=1)),
    Feature(aggregation=Aggregation.SECONDS_SINCE_LAST, of="any", kinds=NAMES),
    Feature(aggregation=Aggregation.SESSION_COUNT, of="any", kinds=NAMES, window=timedelta(days=30)),
)
START = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def product() -> Product:
    """Three kinds, five features, a label of two days over logins."""
    rule = SpineRule(every=timedelta(days=1), start_after=timedelta(days=1), stop_after=timedelta(days=3))
    label = Label(activity=("login",), horizon=timedelta(days=2), spine=rule)
    return Product(name="shop", description="", catalogue=Catalogue(kinds=KINDS, features=FEATURES), causes=(), label=label)


def event(number: int, *, hours: float, kind: str = "login", user: str = "ada", late_hours: float = 0.0, ahead_s: int = 0) -> Event:
    """An event some hours after START that arrived late, or was sent by a clock that ran ahead."""
    at = START + timedelta(hours=hours)
    return Event(
        event_id=f"e{number}",
        user_id=user,
        kind=kind,
        occurred_at=at + timedelta(seconds=ahead_s),
        received_at=at + timedelta(hours=late_hours),
        subject=f"page-{number % 3}" if kind == "page_view" else None,
        value=number * 100 if kind == "purchase" else None,
        session_id=f"s{number // 4}" if number % 2 else None,
    )


@pytest.fixture
def history() -> list[Event]:
    """Forty events of three users over ten days, some late, some from clocks ahead, some twice."""
    users = ("ada", "bob", "Zoë")
    events = [
        event(
            number,
            hours=number * 6,
            kind=NAMES[number % 3],
            user=users[number % 7 % 3],
            late_hours=30 if number % 5 == 0 else 0,
            ahead_s=120 if number % 5 == 1 else 0,
        )
        for number in range(40)
    ]
    return events + events[::4]
