"""What a sweep is asked for on the command line: about whom, when, and how fast; checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from serving.cli.faults import BadInputError

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@Parameter(name="*")
@dataclass(frozen=True)
class Whom:
    """Who is asked about."""

    silent_for: Annotated[str, Parameter(help="Without activity for at least this long: 1d, 48h.", allow_leading_hyphen=True)] = "1d"
    silent_until: Annotated[
        str, Parameter(help="And for at most this long; who is away for longer is gone.", allow_leading_hyphen=True)
    ] = "90d"


@Parameter(name="*")
@dataclass(frozen=True)
class When:
    """When sweeps are due; one that is begun again decides about nobody twice."""

    every: Annotated[
        str | None, Parameter(help="Go on until Ctrl-C, a sweep at each multiple of this: 15m, 1h, 1d.", allow_leading_hyphen=True)
    ] = None
    due: Annotated[
        datetime | None,
        Parameter(help="One sweep, as due at this instant (UTC) of the last 24 hours. [default: the last full hour]"),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True)
class How:
    """Where to ask, and how fast."""

    per_second: Annotated[float, Parameter(help="Users to ask about in a second.", validator=Number(gt=0))] = 20.0
    url: Annotated[str | None, Parameter(help="Address of the service. [default: what runs on this state directory]")] = None


WHOM, WHEN, HOW = Whom(), When(), How()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was asked for, checked."""

    silent_for: timedelta
    silent_until: timedelta
    every: timedelta | None
    due: datetime  # of a single sweep; the first where they go on
    per_second: float


def plan_of(whom: Whom, when: When, how: How, *, now: datetime) -> Plan:
    """Check what was asked for.

    Raises
    ------
    BadInputError
        Naming the option, with what was expected.

    Examples
    --------
    >>> plan_of(Whom(silent_for="7d"), WHEN, HOW, now=datetime(2026, 3, 2, 10, 59, tzinfo=UTC)).due.isoformat()
    '2026-03-02T10:00:00+00:00'
    """
    shortest, longest = duration("--silent-for", whom.silent_for), duration("--silent-until", whom.silent_until)
    if shortest > longest:
        raise BadInputError(
            f"--silent-for {whom.silent_for} is longer than --silent-until {whom.silent_until}: nobody is silent for both; give less first"
        )
    if how.url is not None and not how.url.startswith(("http://", "https://")):
        raise BadInputError(f"--url: got {how.url!r}, expected an address such as http://localhost:3000")
    every = None if when.every is None else period("--every", when.every)
    return Plan(silent_for=shortest, silent_until=longest, every=every, due=_due(when, every, now), per_second=how.per_second)


def duration(option: str, text: str) -> timedelta:
    """Read a duration that an option gives.

    Raises
    ------
    BadInputError
        Naming the option, with what was expected.
    """
    from features.declarations.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as exc:
        raise BadInputError(f"{option}: {exc}") from exc


def period(option: str, text: str) -> timedelta:
    """Read a period of sweeps: the service knows for a day what it was asked, so that none may be longer.

    Raises
    ------
    BadInputError
        Naming the option, with what was expected.
    """
    every = duration(option, text)
    if every < _MINUTE:
        raise BadInputError(f"{option}: got {text}, expected 1m to 1d; who fell silent within a minute is found by the next sweep")
    if every > _DAY:
        raise BadInputError(f"{option}: got {text}, expected 1m to 1d; for fewer sweeps let your scheduler run `stillhere sweep`")
    return every


def _due(when: When, every: timedelta | None, now: datetime) -> datetime:
    from serving.sweep import last_due

    if when.due is None:
        return last_due(now, every or _HOUR)
    if every is not None:
        raise BadInputError("--due and --every: got both, expected one; --every says itself when its sweeps are due")
    due = when.due if when.due.tzinfo is not None else when.due.replace(tzinfo=UTC)
    if not now - _DAY < due <= now:
        raise BadInputError(f"--due: got {due.isoformat()}, expected an instant of the last 24 hours; leave it out for the last full hour")
    return due
