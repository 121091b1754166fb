"""A simulated onboarding product: its log as a backend would have written it, late, doubled and broken rows included.

The truth is in `training.latent`, what can be seen of it in `training.observed`; the clocks in `training.clocked`, the files in
`training.log_files`. What messages do is another matter: `training.trial`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from features.core.event import to_us
from features.core.product import Product
from training.bounds import require_seed, require_whole
from training.clocked import Sent, draw_zones, send, visit_starts_us
from training.errors import SimulationError
from training.latent import Ints, People, draw_people
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
from training.observed import Visits, draw_events, draw_visits

_KINDS = frozenset(
    (
        *("signup", "login", "login_failed", "page_view", "click", "form_submitted", "form_failed", "step_completed", "step_skipped"),
        *("feature_used", "feature_skipped", "key_action", "session_ended", "hover", "scroll", "help_opened"),
    )
)

_MOST_USERS, _MOST_DAYS = 10_000_000, 36_500
_MOST_USER_DAYS = 100_000_000  # five numbers of eight bytes for each day of a person, and what they did
_FIRST_YEAR, _LAST_YEAR = 1980, 2200


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
        If the product does not declare the kinds and attributes that are simulated, a number is out of its range, or the folder cannot
        be written to.
    """
    check_kinds(product)
    require_days(days, least=1)
    check_numbers(n_users=n_users, n_days=days + 1, seed=seed, end=end)
    report = progress or (lambda _done, _total: None)
    rng = np.random.default_rng([seed, n_users, days])
    start = midnight_of(end) - timedelta(days=days)
    with written_to(folder):
        crowd = draw_crowd(n_users, start=start, n_days=days + 1, join_days=days + 1, end_us=to_us(end), rng=rng)
        report(2, STAGES)
        user_ids, sent = tuple(f"user-{number:05d}" for number in range(n_users)), crowd.sent
        broken = broken_rows(end)
        write_events(folder / EVENTS_FILE, event_rows(sent, user_ids), broken=broken, total=len(sent.order), report=report)
        profiles = profile_rows(user_ids, plan=crowd.people.plan, zones=crowd.zones, signup_us=crowd.signup_us, rng=rng)
        write_profiles(folder / PROFILES_FILE, profiles, end=end)
        report(STAGES, STAGES)
    return SimulatedWorld(
        events_file=folder / EVENTS_FILE,
        profiles_file=folder / PROFILES_FILE,
        people=crowd.people,
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


def require_days(days: int, *, least: int) -> None:
    """Nothing, if people can have been joining for so long.

    Raises
    ------
    SimulationError
        If not.
    """
    require_whole("days", days, least=least, most=_MOST_DAYS, advice="63 is the default of simulate", error=SimulationError)


def check_numbers(*, n_users: int, n_days: int, seed: int, end: datetime) -> None:
    """Nothing, if so many people can be simulated for so many days until (or from) this instant.

    Raises
    ------
    SimulationError
        If not.
    """
    require_whole("n_users", n_users, least=1, most=_MOST_USERS, advice="2000 is the default of simulate", error=SimulationError)
    require_seed(seed, error=SimulationError)
    if n_users * n_days > _MOST_USER_DAYS:
        raise SimulationError(
            f"{n_users} users for {n_days} days: got {n_users * n_days:,} days of people, expected at most {_MOST_USER_DAYS:,}, which fill"
            " some gigabytes of memory; simulate fewer people, or fewer days"
        )
    if not _FIRST_YEAR <= end.year <= _LAST_YEAR:
        raise SimulationError(f"end: got {end.isoformat()}, expected a year from {_FIRST_YEAR} to {_LAST_YEAR}; write --end 2025-06-02")


def midnight_of(end: datetime) -> datetime:
    """Midnight UTC at which the day begins."""
    return datetime.combine(end.astimezone(UTC).date(), datetime.min.time(), tzinfo=UTC)


@contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Make the folder before anything is drawn, and say which it was where it cannot be made or written to.

    Raises
    ------
    SimulationError
        If it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        raise SimulationError(f"folder: got {folder} ({exc}), expected one that can be written to; name another with --folder") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """People to whom nobody sends anything, and what they did."""

    people: People
    visits: Visits
    begins_us: Ints  # (n_visits,)
    zones: npt.NDArray[np.str_]  # (n_people,) IANA names
    sent: Sent

    @property
    def signup_us(self) -> Ints:
        """Instants of signing up of those who ever came, in order of people."""
        return np.asarray(self.begins_us[self.visits.number == 0], dtype=np.int64)


def draw_crowd(n_users: int, *, start: datetime, n_days: int, join_days: int, end_us: int, rng: np.random.Generator) -> Crowd:
    """Draw people who join on the first ``join_days`` of ``n_days`` days from ``start`` on, and what they did until ``end_us``."""
    people = draw_people(n_users, n_days, rng, join_days=join_days)
    visits = draw_visits(people, (np.arange(n_days) + start.weekday()) % 7, rng)
    seen = draw_events(visits, rng)
    zones = draw_zones(n_users, rng)
    begins_us = visit_starts_us(people, visits, zones, start=start, rng=rng)
    sent = send(seen, visits, begins_us, end_us=end_us, rng=rng)
    return Crowd(people=people, visits=visits, begins_us=begins_us, zones=zones, sent=sent)
