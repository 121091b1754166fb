"""Many callers of a running service at once, who ask again until they are answered, as backends do."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import httpx
import psutil

from serving.cli.stack import Stack

_TRIES = 200
_PAUSE_S = 0.05  # between two tries
_WORKER = "_bentoml_impl.worker.service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for a decision."""

    key: str
    user_id: str
    patience_s: float = 30.0  # of the first try


@dataclass(slots=True, kw_only=True)
class Callers:
    """What was answered, by key."""

    api_url: str
    answers: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    refusals: list[int] = field(default_factory=list)  # statuses that were no answer, and asked again
    lost: int = 0  # tries that broke off

    async def ask_all(self, requests: Sequence[Asked], *, at_once: int) -> None:
        """Send all, so many at once; returns when each is answered."""
        waiting = iter(requests)
        await asyncio.gather(*(self._take_turns(waiting) for _ in range(at_once)))

    async def _take_turns(self, waiting: Iterable[Asked]) -> None:
        async with httpx.AsyncClient(base_url=self.api_url) as client:
            for one in waiting:
                self.answers[one.key].append(await self._answer(client, one))

    async def _answer(self, client: httpx.AsyncClient, one: Asked) -> bytes:
        timeout_s = one.patience_s
        for _ in range(_TRIES):
            try:
                answer = await post(client, one.key, one.user_id, timeout_s=timeout_s)
            except httpx.TransportError:
                self.lost += 1
            else:
                if answer.status_code == httpx.codes.OK:
                    return answer.content
                self.refusals.append(answer.status_code)
            timeout_s = 30.0
            await asyncio.sleep(_PAUSE_S)
        raise AssertionError(f"{one} was not answered in {_TRIES} tries: {self.refusals[-5:]}")


async def post(client: httpx.AsyncClient, key: str, user_id: str, *, timeout_s: float = 30.0) -> httpx.Response:
    """One try."""
    return await client.post("/v1/decisions", json={"user_id": user_id}, headers={"Idempotency-Key": key}, timeout=timeout_s)


def workers_of(stack: Stack) -> set[int]:
    """Process ids of the service's workers, all of them children of the process that we started."""
    children = psutil.Process(stack.service.process.pid).children(recursive=True)
    return {child.pid for child in children if _is_worker(child)}


def _is_worker(process: psutil.Process) -> bool:
    try:
        return any(_WORKER in part for part in process.cmdline())
    except psutil.NoSuchProcess:
        return False
