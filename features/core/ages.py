"""The age of an instant of the profile (``signup_at``) at as_of: computed when asked for, never stored, since it grows by itself.

The one definition that training rows, live scores and conditions share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from features.core.event import from_us, to_us

_PREFIX = "seconds_since_"


def age_name(attribute: str) -> str:
    """Name of the number that an instant attribute becomes.

    Examples
    --------
    >>> age_name("signup_at")
    'seconds_since_signup_at'
    """
    return f"{_PREFIX}{attribute}"


def age_s(instant: object, as_of_us: int) -> float:
    """Seconds from the instant to as_of, exact to the microsecond; below 0 where it lies ahead; NaN when unset or no instant.

    Examples
    --------
    >>> age_s("1970-01-01T00:00:10Z", 12_500_000), age_s("1970-01-02T00:00:00Z", 0), age_s(None, 0)
    (2.5, -86400.0, nan)
    """
    if not isinstance(instant, str):
        return math.nan
    try:
        return (as_of_us - to_us(datetime.fromisoformat(instant))) / 1_000_000
    except ValueError:
        return math.nan


def ages(profile: Mapping[str, Any], instants: Iterable[str], as_of_us: int) -> dict[str, float]:
    """The age of each of these attributes under `age_name`; one that is unset or no instant has none.

    Examples
    --------
    >>> ages({"signup_at": "1970-01-01T00:00:00Z", "plan": "pro"}, ("signup_at", "trial_ends_at"), 5_000_000)
    {'seconds_since_signup_at': 5.0}
    """
    known = {age_name(name): age_s(profile.get(name), as_of_us) for name in instants}
    return {name: age for name, age in known.items() if not math.isnan(age)}


def canonical_instant(value: object) -> str | None:
    """Write an instant the one way profiles hold it: ISO 8601 in UTC; None for what is none or lacks an offset.

    Examples
    --------
    >>> canonical_instant("2026-03-01T13:00:00+01:00"), canonical_instant("2026-03-01T13:00:00"), canonical_instant(5)
    ('2026-03-01T12:00:00Z', None, None)
    """
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if not isinstance(instant, datetime) or instant.tzinfo is None:
        return None
    try:
        return from_us(to_us(instant)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return None
