"""Cohorts of simulated people in memory: the simulator's latent states and events through the real kernel, without files between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.backfill.columns import NEVER_US, Attachments, RawColumns
from features.backfill.snapshots import snapshots_of
from features.backfill.spine import log_spine
from features.core.columns import EventColumns
from features.core.event import to_us
from features.core.product import Product
from features.home import Home
from training.dataset import features_join, frame_of
from training.frame import USER, TrainingFrame
from training.latent import draw_people
from training.observed import NO_VALUE, draw_events, draw_visits

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
DAYS = 60
_CHUNK = 4_000  # people at once: the events of so many fit into little memory
_DAY_US = 86_400_000_000
_DEVICES, _DEVICE_SHARES = ("web", "ios", "android"), (0.62, 0.22, 0.16)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The raw log of some people, and their profiles."""

    raw: RawColumns
    plan: npt.NDArray[np.str_]
    device: npt.NDArray[np.str_]


def frames(product: Product, n_users: int, *, seed: int) -> Iterator[TrainingFrame]:
    """Mature rows of ``n_users`` people, some thousands at a time; nobody is in two of them."""
    for chunk, first in enumerate(range(0, n_users, _CHUNK)):
        yield frame_of_world(product, world(product, min(_CHUNK, n_users - first), seed=seed + chunk, prefix=f"{seed + chunk}-"))


def frame_of_world(product: Product, made: World) -> TrainingFrame:
    """The spine rule's rows, with features by the batch kernel and the profile."""
    spine = log_spine(made.raw, product)
    rows = features_join(product, Home(Path()), spine, snapshots_of(made.raw, product, spine))
    place = pd.Series(np.arange(len(made.raw.user_ids)), index=made.raw.user_ids)
    who = place[rows[USER].to_numpy()].to_numpy()
    return frame_of(product, rows.assign(plan=made.plan[who], device=made.device[who]), horizon=product.label.horizon)


def world(product: Product, n_users: int, *, seed: int, prefix: str) -> World:
    """Everything that ``n_users`` people do within `DAYS` days, known at once; clocks are in UTC."""
    rng = np.random.default_rng(seed)
    people = draw_people(n_users, DAYS, rng)
    visits = draw_visits(people, (np.arange(DAYS) + BEGIN.weekday()) % 7, rng)
    seen = draw_events(visits, rng)
    hour = np.clip(people.rhythm_hour[visits.person] + rng.normal(0.0, 2.6, len(visits.person)), 0.0, 23.4)
    begins_us = to_us(BEGIN) + visits.day * _DAY_US + (hour * 3.6e9).astype(np.int64)
    occurred_us = begins_us[seen.visit] + seen.offset_ms * 1_000
    code_of = {kind.name: code for code, kind in enumerate(product.catalogue.kinds)}
    kinds, kind_place = np.unique(seen.kind, return_inverse=True)
    columns = EventColumns(
        user=visits.person[seen.visit],
        kind=np.array([code_of[name] for name in kinds.tolist()], np.int16)[kind_place],
        occurred_us=occurred_us,
        known_us=occurred_us,
        skew_us=np.zeros(len(occurred_us), np.int64),
        event_hash=np.arange(len(occurred_us), dtype=np.int64),
        subject=np.unique(seen.subject, return_inverse=True)[1].astype(np.int64),
        value=np.where(seen.value == NO_VALUE, 0, seen.value),
        session=seen.visit + 1,
    )
    user_ids = np.array([f"{prefix}{number:06d}" for number in range(n_users)], dtype=object)
    nobody = Attachments(holder=np.arange(n_users), since_us=np.full(n_users, NEVER_US, np.int64))
    raw = RawColumns(columns=columns, user_ids=user_ids, is_attached=np.zeros(len(occurred_us), np.bool_), attachments=nobody)
    return World(raw=raw, plan=people.plan, device=rng.choice(_DEVICES, size=n_users, p=_DEVICE_SHARES))


def end() -> datetime:
    """When the simulated log ends."""
    return BEGIN + timedelta(days=DAYS)
