"""What one process of a crowd does; a module of its own, so that a fresh process imports little."""

from __future__ import annotations

from serving.adapters.redis_ledger import RedisLedger, connect
from serving.decision.ids import decision_id
from serving.decision.policy import MessageClass
from serving.decision.values import CapWindow, Contact
from serving.ports import Commit

AT_US = 1_772_452_800_000_000
HOUR_US = 3_600_000_000
ATTEMPTS = 2_000


def granted_by_one_process(redis_url: str, k: int, number: int, attempts: int = ATTEMPTS) -> int:
    """How many of its attempts on one user's cap of ``k`` this process is granted."""
    window = CapWindow(name="cap:daily", channel=None, since_us=AT_US - HOUR_US, until_us=AT_US + HOUR_US, limit=k)
    with connect(redis_url, timeout_ms=30_000) as client:
        ledger = RedisLedger(client=client)
        return sum(ledger.commit("onboarding", _commit(number * ATTEMPTS + attempt, window)).committed for attempt in range(attempts))


def _commit(number: int, window: CapWindow) -> Commit:
    id_ = decision_id("ada", AT_US, number.to_bytes(10, "big"))
    contact = Contact(decision_id=id_, channel="email", message_class=MessageClass.OUTREACH, message_id="checking_in", at_us=AT_US)
    return Commit(decision_id=id_, user_id="ada", receipt=b"{}", timeline_hash="0" * 16, timeline=b"", contact=contact, caps=(window,))
