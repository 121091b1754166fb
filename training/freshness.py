"""How old a log may be for what is learned from it to be about the present."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from features.backfill.raw_scan import open_raw_log
from features.core.event import from_us, to_us
from features.core.product import Product
from features.home import Home
from training.bounds import require_number
from training.errors import EmptyLogError, StaleLogError

_US = timedelta(microseconds=1)

STALE_AFTER_DAYS = 30
"""What every command takes for granted; 0 there: any age will do."""
MOST_DAYS = 36_500
"""A hundred years: no log is older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """When one looks, how old a log may be, and which policy stands beside the product.

    Raises
    ------
    BadInputError
        If no log could be so young.
    """

    now: datetime
    stale_after: timedelta | None = timedelta(days=STALE_AFTER_DAYS)  # None: no log is too old
    product_dir: Path | None = None  # folder with policy.yaml, for its hash in the run; None: no policy is recorded

    def __post_init__(self) -> None:
        if self.stale_after is not None:
            days = self.stale_after / timedelta(days=1)
            require_number("stale_after_days", days, least=0.0, most=MOST_DAYS, advice=f"{STALE_AFTER_DAYS} is the default; None: any age")


def require_fresh_log(product: Product, home: Home, look: Look | None) -> None:
    """As `require_fresh`, for the product's log in the home; without a look, as from a notebook, every log will do."""
    if look is not None:
        require_fresh(home.raw_dir(product.name), product, now=look.now, stale_after=look.stale_after)


def require_fresh(raw_dir: Path, product: Product, *, now: datetime, stale_after: timedelta | None) -> None:
    """Refuse a log that ends long before now; ``stale_after`` None: no log is too old.

    Raises
    ------
    EmptyLogError
        If it has no events.
    StaleLogError
        If its newest event became known more than ``stale_after`` before ``now``.
    """
    with open_raw_log(raw_dir) as connection:
        newest = connection.sql("SELECT epoch_us(max(known_at)) FROM known_events").fetchall()
    if newest[0][0] is None:
        raise EmptyLogError(
            f"the raw log of product {product.name} in {raw_dir} has no events, expected some; import a log first: stillhere import <file>"
        )
    end_us = int(newest[0][0])
    if stale_after is not None and to_us(now) - end_us > stale_after // _US:
        raise StaleLogError(
            f"the log of product {product.name} ends at {from_us(end_us).isoformat(timespec='minutes')}, its newest event,"
            f" {_days((to_us(now) - end_us) * _US)} before {now.isoformat(timespec='minutes')}, expected at most {_days(stale_after)};"
            " import what came since, or allow a log of any age: --stale-after-days 0 (stale_after_days=0 of an entry point)"
        )


def _days(age: timedelta) -> str:
    """Spell an age in whole days, and exactly where it is no more than some.

    Examples
    --------
    >>> _days(timedelta(days=30)), _days(timedelta(days=30, seconds=1)), _days(timedelta(days=400, seconds=1))
    ('30 days', '30 days, 0:00:01', '400 days')
    """
    return f"{age.days} days" if age.days > 99 or age % timedelta(days=1) == timedelta(0) else str(age)  # noqa: PLR2004 - seconds of years
