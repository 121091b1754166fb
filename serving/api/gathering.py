"""Decisions that are asked for while others are being made are made together: one step, one read, one commit for all of them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from threading import Lock

from serving.api.context import WAIT_S, Answer, Decider
from serving.api.errors import ApiError
from serving.decision.ids import ENTROPY_BYTES
from serving.ports import Seed

MAX_WAITING = 2_000
"""Users asked about and not yet decided on; more are told to come back."""
MAX_TOGETHER = 128
"""Users of one step: many enough to share round trips, few enough that the last does not wait long for the first."""
LIST_AT_ONCE = 64
"""Users of one list that are decided in one step, so that a long list does not keep everybody else waiting."""
STEPS_AT_ONCE = 2
"""While one waits for Redis another one decides: a third more decisions of one process. A third step gains nothing."""
_RETRY_AFTER_S = 1

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Request:
    """What one caller waits for."""

    user_ids: Sequence[str]
    seeds: Sequence[Seed | None]
    until_s: float  # monotonic clock
    future: asyncio.Future[Sequence[Answer]]


_Outcome = Sequence[Answer] | Exception


@dataclass(slots=True, kw_only=True)
class Gatherer:
    """Makes decisions, all that wait in one step; a request that fails costs no other its answer.

    While steps are on their way requests gather for the next, so that steps grow with the load and a lone request waits for nobody.
    Decisions about one user in one step are made one after the other; of those in two steps the ledger keeps the order, as it does
    between processes.
    """

    decider: Decider
    now_us: Callable[[], int]
    pool: Executor  # decides; as many threads as there are steps at once
    steps_at_once: int = STEPS_AT_ONCE
    max_waiting: int = MAX_WAITING
    wait_s: float = WAIT_S
    _waiting: deque[_Request] = field(default_factory=deque)
    _n_waiting: int = 0
    _n_running: int = 0  # steps
    _is_starting: bool = False
    _lock: Lock = field(default_factory=Lock)

    async def decide(self, user_ids: Sequence[str], seeds: Sequence[Seed | None] | None = None) -> Sequence[Answer]:
        """Decide about users, in the order given; a long list in several steps, others between them. Seeds are as in `Decider`.

        Raises
        ------
        ApiError
            ``overloaded``, before anything was decided.
        """
        seeds = [None] * len(user_ids) if seeds is None else seeds
        if len(user_ids) <= LIST_AT_ONCE:
            return await self._queued(user_ids, seeds, is_new=True)
        answers: list[Answer] = []
        parts = [slice(start, start + LIST_AT_ONCE) for start in range(0, len(user_ids), LIST_AT_ONCE)]
        # The first part waits alone: were it told that its turn came too late, one beside it would be decided about all the same.
        later = range(1, len(parts), self.steps_at_once)
        for beside in (parts[:1], *(parts[first : first + self.steps_at_once] for first in later)):
            for part in await asyncio.gather(*[self._queued(user_ids[some], seeds[some], is_new=some.start == 0) for some in beside]):
                answers += part  # what was begun is brought to its end, however many wait
        return answers

    def _queued(self, user_ids: Sequence[str], seeds: Sequence[Seed | None], *, is_new: bool) -> asyncio.Future[Sequence[Answer]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[Answer]] = loop.create_future()
        until_s = time.monotonic() + self.wait_s if is_new else float("inf")
        with self._lock:
            if is_new and self._n_waiting >= self.max_waiting:
                raise _overloaded(f"{self._n_waiting} users are waiting for a decision")
            self._waiting.append(_Request(user_ids=user_ids, seeds=seeds, until_s=until_s, future=future))
            self._n_waiting += len(user_ids)
            starts = not self._is_starting and self._n_running < self.steps_at_once
            self._is_starting |= starts
        if starts:
            # Once the loop has seen to what came in with this request: else the step begins with one, and the rest wait for it.
            loop.call_soon(self._start)
        return future

    def _start(self) -> None:
        with self._lock:
            self._is_starting = False
            self._n_running += 1
        self.pool.submit(self._run)

    def _run(self) -> None:
        while step := self._next_step():
            _deliver(self._decided(step))

    def _next_step(self) -> list[_Request]:
        """Take what waits, oldest first; nothing ends the run."""
        step: list[_Request] = []
        n_users = 0
        with self._lock:
            while self._waiting and (not step or n_users + len(self._waiting[0].user_ids) <= MAX_TOGETHER):
                step.append(request := self._waiting.popleft())
                n_users += len(request.user_ids)
            self._n_waiting -= n_users
            self._n_running -= not step
        return step

    def _decided(self, step: Sequence[_Request]) -> list[tuple[_Request, _Outcome]]:
        now_s = time.monotonic()
        late: list[tuple[_Request, _Outcome]] = [
            (request, _overloaded(f"the turn did not come within {self.wait_s:g} s")) for request in step if request.until_s < now_s
        ]
        return late + self._together([request for request in step if request.until_s >= now_s])

    def _together(self, requests: Sequence[_Request]) -> list[tuple[_Request, _Outcome]]:
        """Decide about the users of all requests at once; where that fails, of each request alone, to find the one that is to blame.

        The seeds are the same in both: who was decided about before the failure gets that decision, and no second message.
        """
        now_us = self.now_us()
        for request in requests:
            request.seeds = [seed or Seed(now_us=now_us, entropy=os.urandom(ENTROPY_BYTES), is_new=True) for seed in request.seeds]
        user_ids = [user_id for request in requests for user_id in request.user_ids]
        seeds = [seed for request in requests for seed in request.seeds]
        try:
            answers = iter(self.decider.decide_many(user_ids, now_us=now_us, seeds=seeds) if user_ids else ())
        except Exception as exc:  # noqa: BLE001 - a mistake of ours must reach its caller and end no one else's answer
            if len(requests) == 1:
                return [(requests[0], exc)]
            _log.warning("deciding about %d requests together failed (%s); each is decided alone", len(requests), type(exc).__name__)
            for request in requests:
                request.seeds = [seed and replace(seed, is_new=False) for seed in request.seeds]
            return [outcome for request in requests for outcome in self._together([request])]
        return [(request, [next(answers) for _ in request.user_ids]) for request in requests]


def _deliver(outcomes: Sequence[tuple[_Request, _Outcome]]) -> None:
    """Hand the outcomes to their loops: one call for each loop, and there is one loop."""
    loops = {request.future.get_loop() for request, _ in outcomes}
    for loop in loops:
        mine = [(request.future, outcome) for request, outcome in outcomes if request.future.get_loop() is loop]
        try:
            loop.call_soon_threadsafe(_set_results, mine)
        except RuntimeError:
            _log.warning("%d answers came after the end of the service", len(mine))


def _set_results(outcomes: Sequence[tuple[asyncio.Future[Sequence[Answer]], _Outcome]]) -> None:
    for future, outcome in outcomes:
        if future.done():  # the caller has gone
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _overloaded(why: str) -> ApiError:
    headers = {"Retry-After": str(_RETRY_AFTER_S)}
    return ApiError("overloaded", f"{why}; nothing was decided", what_to_do=f"ask again in {_RETRY_AFTER_S} s", headers=headers)
