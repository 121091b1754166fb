"""What one process of a crowd does; a module of its own, so that a fresh process imports little."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier

from serving.adapters.redis_ledger import RedisLedger, connect
from serving.decision.ids import decision_id
from serving.decision.policy import MessageClass
from serving.decision.values import CapWindow, Contact, Permit
from serving.ports import Commit

AT_US = 1_772_452_800_000_000
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
ATTEMPTS = 2_000
SPAN_US = HOUR_US
"""Length of the rolling window."""
_ROLLING_MOMENTS = 6 * 60
"""Minutes after `AT_US` at which the rolling attempts lie: six windows long."""
_TIMEOUT_MS = 60_000

_barrier: Barrier | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One contact that a process tried to reserve."""

    user_id: str
    at_us: int
    message_class: MessageClass = MessageClass.OUTREACH
    permit_since_us: int | None = None  # start of the rate limit's window
    own_cap: CapWindow | None = None


@contextmanager
def crowd(n_processes: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes that can wait for each other."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, mp_context=context, initializer=_meet_at, initargs=(context.Barrier(n_processes),)) as pool:
        yield pool


def _meet_at(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603 - a barrier reaches another process only as it starts
    _barrier = barrier


def granted_by_one_process(redis_url: str, k: int, number: int, attempts: int = ATTEMPTS) -> int:
    """How many of its attempts on one user's cap of ``k`` this process is granted."""
    with connect(redis_url, timeout_ms=_TIMEOUT_MS) as client:
        ledger = RedisLedger(client=client)
        attempt = Attempt(user_id="ada", at_us=AT_US, message_class=MessageClass.OUTREACH, own_cap=_day(k))
        return sum(ledger.commit("onboarding", commit_of(number * ATTEMPTS + place, attempt)).committed for place in range(attempts))


def attempts_of(kind: str, k: int, number: int, attempts: int) -> Iterator[Attempt]:
    """What process ``number`` tries, in its order: ``rolling``, ``classes`` or ``rate``."""
    for place in range(attempts):
        nth = number * attempts + place
        if kind == "rolling":
            at_us = AT_US + (nth * 7919) % _ROLLING_MOMENTS * MINUTE_US
            yield Attempt(user_id="ada", at_us=at_us, message_class=MessageClass.OUTREACH, own_cap=rolling(k, at_us))
        elif kind == "classes":
            class_ = list(MessageClass)[nth % 2]
            yield Attempt(user_id="ada", at_us=AT_US, message_class=class_, own_cap=_day(k, message_class=class_))
        else:  # every second user was written to before: their own cap refuses them after the rate limit had room
            since_us = AT_US + nth % 3 * HOUR_US
            own_cap = _day(int(nth % 2))
            yield Attempt(
                user_id=f"user-{nth}", at_us=since_us, message_class=MessageClass.OUTREACH, permit_since_us=since_us, own_cap=own_cap
            )


def attempted(redis_url: str, kind: str, k: int, number: int, attempts: int) -> list[tuple[Attempt, bool]]:
    """Every attempt of this process, and whether it was granted."""
    with connect(redis_url, timeout_ms=_TIMEOUT_MS) as client:
        ledger = RedisLedger(client=client)
        _meet()
        tried = enumerate(attempts_of(kind, k, number, attempts))
        return [(one, ledger.commit("onboarding", commit_of(number * attempts + place, one, k)).committed) for place, one in tried]


def rolling(k: int, at_us: int) -> CapWindow:
    """At most ``k`` contacts in any `SPAN_US`."""
    return CapWindow(name="cap:rolling", channel=None, since_us=at_us - SPAN_US + 1, until_us=at_us + SPAN_US, limit=k, span_us=SPAN_US)


def granted_in_rounds(redis_url: str, how: str, k: int, number: int, n_rounds: int) -> list[int]:
    """One attempt a round, all processes at the same time; 1 for each round in which this process was granted."""
    with connect(redis_url, timeout_ms=_TIMEOUT_MS) as client:
        ledger = RedisLedger(client=client)

        def by_ledger(nth: int) -> bool:
            one = Attempt(user_id=f"round-{nth}", at_us=AT_US, message_class=MessageClass.OUTREACH, own_cap=_day(k))
            return ledger.commit("onboarding", commit_of(number * n_rounds + nth, one)).committed

        def naively(nth: int) -> bool:
            count = int(client.get(f"naive-{nth}") or 0)
            return count < k and bool(client.incr(f"naive-{nth}"))

        attempt = {"ledger": by_ledger, "naive": naively}[how]
        return [_in_step(attempt, nth) for nth in range(n_rounds)]


def _in_step(attempt: Callable[[int], bool], nth: int) -> int:
    _meet()
    return int(attempt(nth))


def _meet() -> None:
    if _barrier is not None:
        _barrier.wait(timeout=120)


def _day(k: int, **names: MessageClass) -> CapWindow:
    return CapWindow(name="cap:daily", channel=None, since_us=AT_US - HOUR_US, until_us=AT_US + 24 * HOUR_US, limit=k, **names)


def commit_of(number: int, attempt: Attempt, k: int = 0) -> Commit:
    """The attempt as a commit; ``k`` is what the rate limit allows."""
    id_ = decision_id(attempt.user_id, attempt.at_us, number.to_bytes(10, "big"))
    channel = {MessageClass.ASSIST: "in_app", MessageClass.OUTREACH: "email"}[attempt.message_class]
    contact = Contact(decision_id=id_, channel=channel, message_class=attempt.message_class, message_id="checking_in", at_us=attempt.at_us)
    since_us = attempt.permit_since_us
    return Commit(
        decision_id=id_,
        user_id=attempt.user_id,
        receipt=b"{}",
        timeline_hash="0" * 16,
        timeline=b"",
        contact=contact,
        caps=() if attempt.own_cap is None else (attempt.own_cap,),
        outbox=id_.encode(),
        permits=() if since_us is None else (Permit(name="rate:spring", since_us=since_us, until_us=since_us + HOUR_US, limit=k),),
    )
