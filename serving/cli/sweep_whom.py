"""Whom a sweep asks about: who is silent by the raw log, less those of whom the log cannot know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from serving.cli.terminal import warn

if TYPE_CHECKING:
    from features.backfill.silent import Silent
    from features.core.product import Collection, Product
    from features.ingest.answers import StoredAnswers
    from serving.settings import Settings

WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0)
"""Before people's answers are read again that could not be: two minutes in all, in which a Redis is started again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Whom a sweep asks about, and how many it leaves out."""

    user_ids: tuple[str, ...]
    n_untracked: int | None  # silent by the log, which has nothing of them any more; None: the product keeps everybody's behaviour


Look = Callable[[datetime], Found]
"""Finds who is silent at an instant."""


def looking(
    settings: Settings, *, silent_for: timedelta, silent_until: timedelta, may_start_redis: bool, wait: Callable[[float], Any]
) -> Look:
    """Make what finds the silent of an installation.

    Who said no to being tracked sends no news, nor does anybody who has to say yes first: they may be here at this moment. So they are
    left out, by what they have said when it is looked.

    Parameters
    ----------
    may_start_redis
        Whether a bundled Redis is started where none runs; else one that runs is waited for.
    wait
        Waits so many seconds.
    """
    from features.declarations.product_file import load_product

    product = load_product(settings.product_folder)

    def look(due: datetime) -> Found:
        silent = _silent(settings, product, due, silent_for=silent_for, silent_until=silent_until).user_ids
        if product.collection is None:
            return Found(user_ids=silent, n_untracked=None)
        tracked = _tracked(settings, product.collection, silent, None if may_start_redis else wait)
        return Found(user_ids=tuple(tracked), n_untracked=len(silent) - len(tracked))

    return look


def _silent(settings: Settings, product: Product, due: datetime, *, silent_for: timedelta, silent_until: timedelta) -> Silent:
    from features.backfill.silent import find_silent

    raw_dir = settings.home.raw_dir(product.name)
    silent = find_silent(raw_dir, activity=product.label.activity, as_of=due, silent_for=silent_for, silent_until=silent_until)
    if silent.newest_at is None:
        warn(f"{raw_dir} holds no event of before {minute(due)}: nobody is known; is it the state directory of your service?")
    elif silent.newest_at <= due - silent_for:
        warn(f"the newest event of anybody is of {minute(silent.newest_at)}: events have probably stopped coming in")
    return silent


def _tracked(settings: Settings, collection: Collection, user_ids: Sequence[str], wait: Callable[[float], Any] | None) -> Sequence[str]:
    """Those of whom news comes in; ``wait`` is None where a Redis may be started for this."""

    def read() -> Sequence[str]:
        with _answers(settings, collection) as answers:
            return answers.tracked(user_ids)

    if wait is None:
        return read()
    _require_redis(settings)
    return patiently(read, wait)


def _require_redis(settings: Settings) -> None:
    """Raise `StoreError` where it is unknown which Redis a service elsewhere uses: in an empty one nobody has said no."""
    from features.ports import StoreError
    from serving.adapters.run_file import read_run_file

    if settings.redis_url is None and read_run_file(settings.home.run_file) is None:
        raise StoreError(
            f"who is not to be tracked stands in the Redis of your service, and none runs on {settings.home.root}: "
            "start it with `stillhere serve`, or name its Redis with STILLHERE_REDIS_URL"
        )


@contextmanager
def _answers(settings: Settings, collection: Collection) -> Iterator[StoredAnswers]:
    """What people have said, in the Redis of this installation."""
    from features.ingest.answers import StoredAnswers
    from serving import bootstrap
    from serving.cli.stack import reachable_redis

    with reachable_redis(settings) as redis_url:
        opened = bootstrap.installation(settings, redis_url, asks_registry=False)
        try:
            yield StoredAnswers(collection=collection, profiles=opened.profiles, identities=opened.identities)
        finally:
            opened.close()


def patiently(read: Callable[[], Sequence[str]], wait: Callable[[float], Any]) -> Sequence[str]:
    """Read again while a store is away, for two minutes.

    Raises
    ------
    StoreError
        If it is away for longer.

    Examples
    --------
    >>> patiently(lambda: ["ada"], lambda seconds: None)
    ['ada']
    """
    from features.ports import StoreError

    for tries, wait_s in enumerate(WAITS_S):
        try:
            return read()
        except StoreError as exc:
            if not tries:
                warn(f"who is not to be tracked cannot be read ({exc}); trying again for two minutes")
            wait(wait_s)
    return read()


def minute(instant: datetime) -> str:
    """An instant as a person reads it.

    Examples
    --------
    >>> minute(datetime(2026, 3, 2, 10, 59, 7, tzinfo=UTC))
    '2026-03-02 10:59 UTC'
    """
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
