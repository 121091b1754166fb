"""People who were here on three days, and not for a day and a half: by their rule (`regular_away_for_a_day`) each is written to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson

from features.core.event import Event, to_us
from features.core.timeline import timeline_from_events
from serving.sweep import lists_of


def names_of(lists: int, *, at_least: int) -> list[str]:
    """Ids of whom a sweep asks in so many lists."""
    names: list[str] = []
    numbers = iter(range(100_000))
    while len(names) < at_least or len(list(lists_of(names))) < lists:
        names.append(f"silent-{next(numbers):05}")
    return names


def fall_silent(installation, user_ids) -> None:
    """Put what they did where the worker would have put it, then."""
    now, kinds = datetime.now(UTC), installation.product.catalogue.kinds
    events = {user_id: _logins(user_id, now - timedelta(hours=36)) for user_id in user_ids}
    installation.raw_log.append([event for of_user in events.values() for event in of_user])
    installation.timelines.merge({user_id: timeline_from_events(of_user, kinds) for user_id, of_user in events.items()})
    agreed = {"consent": True, "email_opt_in": True, "timezone": _zone_of_noon(now)}
    installation.profiles.write(dict.fromkeys(user_ids, agreed), changed_us=to_us(now - timedelta(days=4)))


def orders(installation, user_ids) -> dict[str, list[str]]:
    """Of each the orders in the outbox, by their decisions' ids."""
    found = {user_id: [] for user_id in user_ids}
    for order in map(orjson.loads, installation.ledger.outbox(installation.product.name)):
        if order["user_id"] in found:
            found[order["user_id"]].append(order["decision_id"])
    return found


def decisions(installation, user_ids) -> dict[str, list[str]]:
    """Of each the decisions that were made."""
    return {user_id: list(installation.ledger_of_users.decision_ids([user_id])) for user_id in user_ids}


def _logins(user_id, newest_at) -> list[Event]:
    return [_login(f"{user_id}-{number}", user_id, newest_at - timedelta(hours=8 * number)) for number in range(12)]


def _login(event_id, user_id, at) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind="login", occurred_at=at, received_at=at)


def _zone_of_noon(now) -> str:
    """Where it is about noon, so that no quiet hours are near."""
    ahead = 12 - now.hour  # POSIX has the sign the other way round
    return f"Etc/GMT{-ahead:+d}"
