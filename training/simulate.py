"""A simulated onboarding product: its log as a backend would have written it, late, doubled and broken rows included.

The truth is in `training.latent`, what can be seen of it in `training.observed`; here events get clock times and are written in the
files that ``logs`` of ``products/onboarding/product.yaml`` declares.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from features.core.event import from_us, to_us
from features.core.product import Product
from training.clocked import LOCALES, Sent, draw_zones, send, visit_starts_us
from training.latent import Ints, People, draw_people
from training.observed import NO_SUBJECT, NO_VALUE, Visits, draw_events, draw_visits

Progress = Callable[[int, int], None]
"""``progress(done, total)``: parts of the work; done never decreases and ends at total."""

EVENTS_FILE = "events.jsonl.gz"
PROFILES_FILE = "profiles.csv"

_STAGES = 10
_NAMES = ("Ada", "Ben", "Chi", "Dana", "Eli", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kim", "Leo", "Mia", "Noa", "Ole", "Pia", "Quy", "Rui")
_ZONE_UNTOLD, _UNSUBSCRIBE = 0.03, 0.02  # shares of people

_KINDS = frozenset(
    (
        *("signup", "login", "login_failed", "page_view", "click", "form_submitted", "form_failed", "step_completed", "step_skipped"),
        *("feature_used", "feature_skipped", "key_action", "session_ended", "hover", "scroll", "help_opened"),
    )
)


class SimulationError(ValueError):
    """The world asked for cannot be simulated."""


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
    report(2, _STAGES)
    zones = draw_zones(n_users, rng)
    begins_us = visit_starts_us(people, visits, zones, start=start, rng=rng)
    user_ids = tuple(f"user-{number:05d}" for number in range(n_users))
    sent = send(seen, visits, begins_us, end_us=to_us(end), rng=rng)
    folder.mkdir(parents=True, exist_ok=True)
    broken = _broken_rows(end)
    _write_events(folder / EVENTS_FILE, _rows(sent, user_ids), broken=broken, total=len(sent.order), report=report)
    _write_profiles(folder / PROFILES_FILE, _profile_rows(people, visits, begins_us, zones=zones, user_ids=user_ids, rng=rng), end=end)
    report(_STAGES, _STAGES)
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


# --- files ---------------------------------------------------------------------------------------------------------------------------


def _rows(sent: Sent, user_ids: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Make the rows of the events file, in order of arrival."""
    seen, order = sent.seen, sent.order
    occurred = np.datetime_as_string(sent.occurred_us[order].astype("datetime64[us]"), unit="us").tolist()
    received = np.datetime_as_string(sent.received_us.astype("datetime64[us]"), unit="us").tolist()
    columns = (order, sent.person[order], seen.visit[order], seen.kind[order], seen.subject[order], seen.value[order])
    for number, person, visit, kind, subject, value, at, arrived in zip(
        *(column.tolist() for column in columns), occurred, received, strict=True
    ):
        row = {"event_id": f"e{number}", "user_id": user_ids[person], "kind": kind, "occurred_at": at + "Z", "received_at": arrived + "Z"}
        row["session_id"] = f"s{visit}"
        if subject != NO_SUBJECT:
            row["subject"] = subject
        if value != NO_VALUE:
            row["value"] = value
        yield row


def _broken_rows(end: datetime) -> list[bytes]:
    """Make rows that an import must refuse, each for another reason."""
    good = {"event_id": "broken", "user_id": "user-00000", "kind": "click"}
    stamp = (end - timedelta(hours=1)).astimezone(UTC).isoformat()
    good |= {"occurred_at": stamp, "received_at": stamp}
    wrong: list[dict[str, Any]] = [
        {"kind": "teleport"},
        {"user_id": None},
        {"user_id": "x" * 200},
        {"occurred_at": stamp.removesuffix("+00:00")},
        {"occurred_at": "yesterday"},
        {"occurred_at": (end + timedelta(days=2)).astimezone(UTC).isoformat()},
        {"kind": "key_action", "value": "fast"},
        {"kind": "key_action"},
        {"kind": "key_action", "value": 1.5},
        {"kind": "step_skipped"},
        {"kind": "login", "value": 3},
    ]
    rows = [orjson.dumps(good | change) for change in wrong]
    return [*rows, b'{"event_id":"cut off', orjson.dumps(good)[:-1] + b',"value":NaN}']


def _write_events(file: Path, rows: Iterator[dict[str, Any]], *, broken: list[bytes], total: int, report: Progress) -> None:
    """Write the rows, the broken ones spread among them."""
    every = max(1, total // (len(broken) + 1))
    left = list(broken)
    # No name and time in the header, so that the same world has the same bytes.
    with file.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=3, mtime=0) as out:
        for number, row in enumerate(rows, start=1):
            out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            if number % every == 0:
                report(2 + 7 * number // (total + 1), _STAGES)
                if left:
                    out.write(left.pop() + b"\n")
        out.writelines(row + b"\n" for row in left)


def _profile_rows(
    people: People,
    visits: Visits,
    begins_us: Ints,
    *,
    zones: npt.NDArray[np.str_],
    user_ids: tuple[str, ...],
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Make one row at sign-up for everyone, one more for those who later changed their mind about e-mail, and two broken ones."""
    n_people = len(user_ids)
    device = rng.choice(["web", "ios", "android"], size=n_people, p=[0.62, 0.22, 0.16])
    cohort = rng.choice(["search", "referral", "event", "partner"], size=n_people, p=[0.5, 0.25, 0.15, 0.1])
    name = rng.choice(_NAMES, size=n_people)
    agrees = rng.random((n_people, 3)) < np.array([0.93, 0.95, 0.86])
    columns = {"plan": people.plan, "device": device, "cohort": cohort, "timezone": zones, "first_name": name}
    columns |= {flag: np.where(agrees[:, k], "true", "false") for k, flag in enumerate(("consent", "in_app_opt_in", "email_opt_in"))}
    columns["timezone"] = np.where(rng.random(n_people) < _ZONE_UNTOLD, "", zones)
    joined = [from_us(us).isoformat() for us in begins_us[visits.number == 0].tolist()]
    columns |= {"locale": np.array([LOCALES[zone] for zone in zones]), "signup_at": np.array(joined)}
    facts = zip(*(column.tolist() for column in columns.values()), strict=True)
    rows = [
        {"user_id": user, "changed_at": at, **dict(zip(columns, values, strict=True))}
        for user, at, values in zip(user_ids, joined, facts, strict=True)
    ]
    unsubscribed = np.flatnonzero(rng.random(n_people) < _UNSUBSCRIBE).tolist()
    later = [
        {"user_id": user_ids[k], "changed_at": (datetime.fromisoformat(joined[k]) + timedelta(days=3)).isoformat(), "email_opt_in": "false"}
        for k in unsubscribed
    ]
    broken = [
        {"user_id": "", "changed_at": joined[0], "plan": "free"},
        {"user_id": user_ids[0], "changed_at": joined[0], "consent": "maybe"},
    ]
    return [*rows, *later, *broken]


def _write_profiles(file: Path, rows: list[dict[str, Any]], *, end: datetime) -> None:
    """Write what was known at ``end``."""
    known = [row for row in rows if datetime.fromisoformat(row["changed_at"]) <= end]
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]), restval="")
        writer.writeheader()
        writer.writerows(known)
