"""One immutable fact about one user, and its content hash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
import xxhash

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SIGN_BIT = 1 << 63

FUTURE_TOLERANCE = timedelta(minutes=5)
"""How far a sender's clock may run ahead of ours before an event is refused."""


def to_us(instant: datetime) -> int:
    """Microseconds since the Unix epoch of an aware datetime; exact.

    Raises
    ------
    ValueError
        If ``instant`` has no time zone.

    Examples
    --------
    >>> to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    if instant.tzinfo is None:
        raise ValueError(f"got the naive datetime {instant.isoformat()}, expected one with a UTC offset; attach a zone")
    return (instant - _EPOCH) // _MICROSECOND


def from_us(instant_us: int) -> datetime:
    """UTC datetime of microseconds since the Unix epoch; the inverse of `to_us`.

    Examples
    --------
    >>> from_us(1_000_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=datetime.timezone.utc)
    """
    return _EPOCH + timedelta(microseconds=instant_us)


def text_hash(text: str) -> int:
    """Signed 64-bit xxh3 of the UTF-8 text; never 0, which stands for "no text".

    Examples
    --------
    >>> text_hash("login") == text_hash("login") != text_hash("logout")
    True
    """
    return _signed(xxhash.xxh3_64_intdigest(text.encode())) or 1


def event_hash(event: Event) -> int:
    """Signed 64-bit content hash: what makes an event the same event.

    Covers event_id, occurred_at *as sent*, kind, subject, value and session_id; not the user (an alias moves events
    between users) and not received_at (a retry arrives later).
    """
    content = [event.event_id, to_us(event.occurred_at), event.kind, event.subject, event.value, event.session_id]
    return _signed(xxhash.xxh3_64_intdigest(orjson.dumps(content)))


def _signed(digest: int) -> int:
    return digest - 2 * _SIGN_BIT if digest >= _SIGN_BIT else digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something a user did, as it was sent and when it arrived."""

    event_id: str  # the sender's id; the same id with other content is another event
    user_id: str
    kind: str  # a kind that the product declares
    occurred_at: datetime  # aware; as sent, so at most FUTURE_TOLERANCE after received_at
    received_at: datetime  # aware; when the first component of ours saw it
    subject: str | None = None  # what it was about: a step, a page, a feature
    value: int | None = None  # in the unit the kind declares
    session_id: str | None = None

    @property
    def known_us(self) -> int:
        """When this event became known for this user (received_at; aliases may only raise it)."""
        return to_us(self.received_at)

    @property
    def skew_us(self) -> int:
        """By how much the sent occurred_at lies after received_at; the features see ``occurred - skew``."""
        return max(0, to_us(self.occurred_at) - to_us(self.received_at))
