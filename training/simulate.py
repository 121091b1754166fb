"""A simulated onboarding product: its log as a backend would have written it, late, doubled and broken rows included.

The truth is in `training.latent`, what can be seen of it in `training.observed`; the clocks in `training.clocked`, the files in
`training.log_files`. What messages do is another matter: `training.trial`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from features.core.event import to_us
from features.core.product import Product
from training.clocked import draw_zones, send, visit_starts_us
from training.errors import SimulationError
from training.latent import People, draw_people
from training.log_files import (
    EVENTS_FILE,
    PROFILES_FILE,
    STAGES,
    Progress,
    broken_rows,
    event_rows,
    profile_rows,
    write_events,
    write_profiles,
)
from training.observed import draw_events, draw_visits

_KINDS = frozenset(
    (
        *("signup", "login", "login_failed", "page_view", "click", "form_submitted", "form_failed", "step_completed", "step_skipped"),
        *("feature_used", "feature_skipped", "key_action", "session_ended", "hover", "scroll", "help_opened"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedWorld:
    """What was written, and the truth behind it."""

    events_file: Path
    profiles_file: Path
    people: People
    user_ids: tuple[str, ...]
    start: datetime  # midnight UTC of the first day
    end: datetime  # nothing was received later
    n_rows: int  # of the events file
    n_events: int  # distinct and well-formed
    n_doubled: int
    n_broken: int


def simulate(  # noqa: PLR0913  each of them is a choice of the caller's
    product: Product, folder: Path, *, n_users: int, seed: int, end: datetime, days: int = 45, progress: Progress | None = None
) -> SimulatedWorld:
    """Simulate ``n_users`` who sign up over ``days`` days before ``end``, and write their log and profiles into ``folder``.

    The same arguments give the same bytes; of ``end``, the day decides who does what, and the instant only where the log stops.

    Raises
    ------
    SimulationError
        If the product does not declare the kinds and attributes that are simulated, or a number is too small.
    """
    _check(product, n_users=n_users, days=days)
    report = progress or (lambda _done, _total: None)
    rng = np.random.default_rng([seed, n_users, days])
    start = datetime.combine(end.astimezone(UTC).date(), datetime.min.time(), tzinfo=UTC) - timedelta(days=days)
    people = draw_people(n_users, days + 1, rng)
    visits = draw_visits(people, (np.arange(days + 1) + start.weekday()) % 7, rng)
    seen = draw_events(visits, rng)
    report(2, STAGES)
    zones = draw_zones(n_users, rng)
    begins_us = visit_starts_us(people, visits, zones, start=start, rng=rng)
    user_ids = tuple(f"user-{number:05d}" for number in range(n_users))
    sent = send(seen, visits, begins_us, end_us=to_us(end), rng=rng)
    folder.mkdir(parents=True, exist_ok=True)
    broken = broken_rows(end)
    write_events(folder / EVENTS_FILE, event_rows(sent, user_ids), broken=broken, total=len(sent.order), report=report)
    profiles = profile_rows(user_ids, plan=people.plan, zones=zones, signup_us=begins_us[visits.number == 0], rng=rng)
    write_profiles(folder / PROFILES_FILE, profiles, end=end)
    report(STAGES, STAGES)
    return SimulatedWorld(
        events_file=folder / EVENTS_FILE,
        profiles_file=folder / PROFILES_FILE,
        people=people,
        user_ids=user_ids,
        start=start,
        end=end,
        n_rows=len(sent.order) + len(broken),
        n_events=len(np.unique(sent.order)),
        n_doubled=len(sent.order) - len(np.unique(sent.order)),
        n_broken=len(broken),
    )


def check_kinds(product: Product) -> None:
    """Nothing, if the product declares every kind of event that is simulated.

    Raises
    ------
    SimulationError
        If not.
    """
    missing = sorted(_KINDS - {kind.name for kind in product.catalogue.kinds})
    if missing:
        raise SimulationError(
            f"product {product.name}: kinds: {', '.join(missing)} not declared, expected what is simulated; "
            "simulate products/onboarding, or a product with these kinds"
        )


def _check(product: Product, *, n_users: int, days: int) -> None:
    check_kinds(product)
    for name, number in (("n_users", n_users), ("days", days)):
        if number < 1:
            raise SimulationError(f"{name}: got {number}, expected at least 1; simulate more")
