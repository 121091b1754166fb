"""What the suites over ledgers commit: a decision about ada at noon, and the windows that it counts in."""

from __future__ import annotations

import itertools
from dataclasses import replace

from serving.decision.ids import decision_id
from serving.decision.values import CapWindow, Permit
from serving.ports import Commit
from tests.serving_world import DAY_US, HOUR_US, NOON, contact

AT_US = int(NOON.timestamp()) * 1_000_000
_numbers = itertools.count(1)


def commit(
    user_id="ada",
    *,
    at_us=AT_US,
    channel="email",
    message_id="checking_in",
    caps=(),
    sends=True,
    receipt=b'{"a":1}',
    timeline=b"t1",
    expires_us=None,
    **more,
):
    id_ = decision_id(user_id, at_us, next(_numbers).to_bytes(10, "big"))
    return Commit(
        decision_id=id_,
        user_id=user_id,
        receipt=receipt,
        timeline_hash=f"{hash(timeline) & 0xFFFF:016x}",
        timeline=timeline,
        contact=replace(contact(channel, message_id, at_us=at_us, decision_id=id_), expires_us=expires_us) if sends else None,
        caps=tuple(caps),
        outbox=f"deliver {id_}".encode() if sends else b"",
        **{"as_of_us": AT_US, **more},
    )


def window(limit=1, *, channel=None, message_id=None, since_us=AT_US - DAY_US, until_us=AT_US + DAY_US, name="cap:daily", **more):
    return CapWindow(name=name, channel=channel, since_us=since_us, until_us=until_us, limit=limit, message_id=message_id, **more)


def permit(limit=2, *, since_us=AT_US, name="rate:spring"):
    return Permit(name=name, since_us=since_us, until_us=since_us + HOUR_US, limit=limit)
