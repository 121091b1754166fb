"""Rate limits in Redis: places that all users share, taken before a user's own windows are checked and given back if those refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from importlib.resources import files
from typing import Any

import redis

from serving.adapters.redis_pipeline import pipelined
from serving.decision.values import Permit
from serving.ports import Commit, CommitResult, LedgerError

_TAKE = files("serving.adapters").joinpath("redis_rates.lua").read_text(encoding="utf-8")
_MILLISECOND_US = 1_000
_KEPT_LONGER_MS = timedelta(days=1) // timedelta(milliseconds=1)
"""A window's decisions are forgotten this long after its end, so that a retry of one of them takes no second place."""


@dataclass(frozen=True, kw_only=True)
class RedisRates:
    """One set of decisions for each window, ``stillhere:{<product>:rates}:<limit>:<start>``: all of a product's in one cluster slot.

    A place that was taken for a decision whose commit then failed without an answer stays taken: never over a limit, whatever fails.
    """

    client: redis.Redis

    def take(self, product: str, commits: Sequence[Commit]) -> dict[str, CommitResult | LedgerError]:
        """Take all places of each commit that needs some, in this order; what is to be told instead, by decision, where that failed."""
        refused: dict[str, CommitResult | LedgerError] = {}
        for commit in commits:
            if commit.permits:
                try:
                    place = int(self._take(keys=_keys(product, commit.permits), args=_arguments(commit)))
                except redis.RedisError as exc:
                    refused[commit.decision_id] = LedgerError(f"the rate limits in Redis did not answer ({type(exc).__name__}: {exc})")
                    continue
                if place:
                    refused[commit.decision_id] = CommitResult(committed=False, refused_by=commit.permits[place - 1].name)
        return refused

    def give_back(self, product: str, commits: Sequence[Commit]) -> None:
        """Free the places of commits that were refused; where Redis fails they stay taken."""
        for commit in commits:
            try:
                for key in _keys(product, commit.permits):
                    self.client.srem(key, commit.decision_id)
            except redis.RedisError:
                return

    def without_room(self, product: str, windows: Sequence[Permit]) -> list[Permit]:
        """Those windows that have no place left, in one round trip; one that Redis will not tell of counts as roomy: `take` asks again.

        Raises
        ------
        redis.RedisError
            If Redis could not be reached.
        """
        replies = pipelined(self.client, [("SCARD", key) for key in _keys(product, windows)])
        taken = zip(windows, replies, strict=True)
        return [window for window, places in taken if not isinstance(places, redis.RedisError) and places >= window.limit]

    @cached_property
    def _take(self) -> Any:
        return self.client.register_script(_TAKE)


def _keys(product: str, permits: Sequence[Permit]) -> list[str]:
    return [f"stillhere:{{{product}:rates}}:{permit.name.partition(':')[2]}:{permit.since_us}" for permit in permits]


def _arguments(commit: Commit) -> list[str | int]:
    places = [(p.limit, max(0, p.until_us - commit.as_of_us) // _MILLISECOND_US + _KEPT_LONGER_MS) for p in commit.permits]
    return [commit.decision_id, *(number for place in places for number in place)]
