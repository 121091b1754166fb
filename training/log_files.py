"""The files of a simulated log: events as they arrived and profiles as they changed, broken rows among them.

They are what ``logs`` of ``products/onboarding/product.yaml`` declares.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from features.core.event import from_us
from training.clocked import LOCALES, Sent
from training.latent import Ints
from training.observed import NO_SUBJECT, NO_VALUE

Progress = Callable[[int, int], None]
"""``progress(done, total)``: parts of the work; done never decreases and ends at total."""

EVENTS_FILE = "events.jsonl.gz"
PROFILES_FILE = "profiles.csv"
STAGES = 10
"""Parts of the work of simulating; `write_events` reports 2 to 9."""

_NAMES = ("Ada", "Ben", "Chi", "Dana", "Eli", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kim", "Leo", "Mia", "Noa", "Ole", "Pia", "Quy", "Rui")
_ZONE_UNTOLD, _UNSUBSCRIBE = 0.03, 0.02  # shares of people


def event_rows(sent: Sent, user_ids: tuple[str, ...]) -> Iterator[dict[str, Any]]:
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


def broken_rows(end: datetime) -> list[bytes]:
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


def write_events(file: Path, rows: Iterator[dict[str, Any]], *, broken: list[bytes], total: int, report: Progress) -> None:
    """Write the rows, the broken ones spread among them."""
    every = max(1, total // (len(broken) + 1))
    left = list(broken)
    # No name and time in the header, so that the same world has the same bytes.
    with file.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=3, mtime=0) as out:
        for number, row in enumerate(rows, start=1):
            out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            if number % every == 0:
                report(2 + 7 * number // (total + 1), STAGES)
                if left:
                    out.write(left.pop() + b"\n")
        out.writelines(row + b"\n" for row in left)


def profile_rows(
    user_ids: tuple[str, ...],
    *,
    plan: npt.NDArray[np.str_],
    zones: npt.NDArray[np.str_],
    signup_us: Ints,
    rng: np.random.Generator,
    told: Mapping[str, npt.NDArray[np.str_]] | None = None,
) -> list[dict[str, Any]]:
    """Make one row at sign-up for everyone, one more for those who later changed their mind about e-mail, and two broken ones.

    Parameters
    ----------
    told
        Columns that are known already, shape (n_people,); the others are drawn. Who is told about e-mail changes no mind.
    """
    n_people = len(user_ids)
    device = rng.choice(["web", "ios", "android"], size=n_people, p=[0.62, 0.22, 0.16])
    cohort = rng.choice(["search", "referral", "event", "partner"], size=n_people, p=[0.5, 0.25, 0.15, 0.1])
    name = rng.choice(_NAMES, size=n_people)
    agrees = rng.random((n_people, 3)) < np.array([0.93, 0.95, 0.86])
    columns = {"plan": plan, "device": device, "cohort": cohort, "timezone": zones, "first_name": name}
    columns |= {flag: np.where(agrees[:, k], "true", "false") for k, flag in enumerate(("consent", "in_app_opt_in", "email_opt_in"))}
    columns["timezone"] = np.where(rng.random(n_people) < _ZONE_UNTOLD, "", zones)
    joined = [from_us(us).isoformat() for us in signup_us.tolist()]
    columns |= {"locale": np.array([LOCALES[zone] for zone in zones]), "signup_at": np.array(joined)}
    columns |= told or {}
    facts = zip(*(column.tolist() for column in columns.values()), strict=True)
    rows = [
        {"user_id": user, "changed_at": at, **dict(zip(columns, values, strict=True))}
        for user, at, values in zip(user_ids, joined, facts, strict=True)
    ]
    unsubscribed = np.flatnonzero(rng.random(n_people) < _UNSUBSCRIBE).tolist()
    later = (
        []
        if told and "email_opt_in" in told
        else [
            {
                "user_id": user_ids[k],
                "changed_at": (datetime.fromisoformat(joined[k]) + timedelta(days=3)).isoformat(),
                "email_opt_in": "false",
            }
            for k in unsubscribed
        ]
    )
    broken = [
        {"user_id": "", "changed_at": joined[0], "plan": "free"},
        {"user_id": user_ids[0], "changed_at": joined[0], "consent": "maybe"},
    ]
    return [*rows, *later, *broken]


def write_profiles(file: Path, rows: list[dict[str, Any]], *, end: datetime) -> None:
    """Write what was known at ``end``."""
    known = [row for row in rows if datetime.fromisoformat(row["changed_at"]) <= end]
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]), restval="")
        writer.writeheader()
        writer.writerows(known)
