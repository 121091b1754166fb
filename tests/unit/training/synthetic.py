"""A small world with a planted truth: users come on some days and stop for good; some fail to log in first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from features.adapters.raw_log import ParquetRawLog
from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.event import Event
from features.core.product import Attribute, AttributeType, Cause, Label, Product, SpineRule
from features.home import Home

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("login", "login_failed", "click")


def product(name: str = "tiny", *, horizon_days: int = 5, profile: bool = True) -> Product:
    """A dozen features over three kinds, two causes, two attributes."""
    windows = tuple(timedelta(days=days) for days in (1, 3, 7, 14))
    counts = [
        Feature(
            aggregation=Aggregation.COUNT, of=kind, kinds=(kind,), window=window, cause="friction" if kind == "login_failed" else "silence"
        )
        for kind in KINDS
        for window in windows
    ]
    use = ("login", "click")
    recency = Feature(aggregation=Aggregation.SECONDS_SINCE_LAST, of="use", kinds=use, cause="silence")
    days = Feature(aggregation=Aggregation.ACTIVE_DAYS, of="use", kinds=use, window=timedelta(days=14), cause="silence")
    attributes = (
        Attribute(name="plan", type=AttributeType.CATEGORY),
        Attribute(name="invited", type=AttributeType.BOOLEAN),
        Attribute(name="consent", type=AttributeType.BOOLEAN, model=False),
        Attribute(name="timezone", type=AttributeType.TEXT),
    )
    return Product(
        name=name,
        description="A world for tests.",
        catalogue=Catalogue(kinds=tuple(Kind(name=kind) for kind in KINDS), features=(*counts, recency, days)),
        causes=(Cause(name="friction"), Cause(name="silence")),
        label=Label(
            activity=use,
            horizon=timedelta(days=horizon_days),
            spine=SpineRule(
                every=timedelta(days=1), start_after=timedelta(days=1), stop_after=timedelta(days=40), active_within=timedelta(days=7)
            ),
        ),
        profile=attributes if profile else (),
    )


def events(*, n_users: int, n_days: int, seed: int, everybody_stays: bool = False) -> list[Event]:
    """Daily activity with a personal rate; those who fail to log in are likelier to stop for good."""
    rng = np.random.default_rng(seed)
    made: list[Event] = []
    for user in range(n_users):
        rate, frustrated = rng.uniform(0.4, 1.0), rng.random() < 0.5
        leaving = 0.0 if everybody_stays else 0.1 if frustrated else 0.02
        for day in range(int(rng.integers(0, n_days // 2)), n_days):
            if rng.random() > rate:
                continue
            made += _visit(f"u{user:04d}", day, rng, frustrated=frustrated)
            if rng.random() < leaving:
                break
    return made


def fill(home: Home, of: Product, **sizes: int | bool) -> None:
    """Put such a world into the product's raw log."""
    raw_dir = home.raw_dir(of.name)
    raw_dir.mkdir(parents=True)
    ParquetRawLog(raw_dir).append(events(**sizes))


def home_at(folder: Path) -> Home:
    """A home below a test's folder."""
    return Home(folder / "home")


def _visit(user_id: str, day: int, rng: np.random.Generator, *, frustrated: bool) -> list[Event]:
    start = BEGIN + timedelta(days=day, seconds=float(rng.uniform(0, 80_000)))
    kinds = (
        ["login_failed"] * int(rng.integers(0, 3 if frustrated else 1) + frustrated * 0) + ["login"] + ["click"] * int(rng.integers(0, 4))
    )
    return [_event(user_id, kind, start + timedelta(seconds=20 * i), f"{day}/{i}") for i, kind in enumerate(kinds)]


def _event(user_id: str, kind: str, at: datetime, event_id: str) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=kind, occurred_at=at, received_at=at)
