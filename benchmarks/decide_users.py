"""Whom bench_decide asks about: users to whom nothing is sent, and ever fresh ones to whom something is.

Who gets a message is at rest afterwards, by cooldown and caps. So every load has its own users to send to: copies, under new ids, of
simulated users to whom a message would go out now.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count, cycle, islice
from pathlib import Path

import orjson

from features.adapters.feast_online_store import user_keys
from serving import bootstrap
from serving.bootstrap import Installation
from serving.cli.forgetful_ledger import ForgetfulLedger
from serving.decision.chance import draw
from serving.decision.policy import Exploration
from serving.policy_file.document import with_hash
from serving.ports import PersonStore, StoredPerson

SEND_SHARE = 0.154
"""Of the requests so many are about somebody to whom a message goes out, unless chance decides for nothing: about 15 % send."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverWrittenTo:
    """People as they are stored, but for their contacts."""

    inner: PersonStore

    def read(self, user_ids: Sequence[str], *, since_us: int) -> list[StoredPerson]:
        return [replace(person, contacts=()) for person in self.inner.read(user_ids, since_us=since_us)]


@dataclass(kw_only=True)
class Users:
    """Users by what would be decided about them now, and the copies made so far."""

    opened: Installation
    run: str  # marks this run's copies
    quiet: list[str] = field(default_factory=list)
    sent_to: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    _next_number: int = 0

    def sort(self, user_ids: list[str]) -> None:
        """Ask about each as if nobody had ever written to them, without chance and without remembering anything."""
        service = self.opened.decisions()
        certain = with_hash(replace(service.policy, exploration=Exploration()))
        service = replace(
            service, policy=certain, archive=None, ledger=ForgetfulLedger(service.ledger), people=NeverWrittenTo(inner=service.people)
        )
        now_us = bootstrap.now_us()
        for start in range(0, len(user_ids), _AT_ONCE):
            some = user_ids[start : start + _AT_ONCE]
            for user_id, answer in zip(some, service.decide_many(some, now_us=now_us), strict=True):
                sends = orjson.loads(answer.output)["action"] == "send"
                (self.sent_to if sends else self.quiet).append(user_id)

    def bodies(self, folder: Path, n: int) -> Path:
        """Write n requests, a share of them about copies that nobody has asked about, evenly spread."""
        fresh, quiet = iter(self._copied(int(n * SEND_SHARE) + 1)), cycle(self.quiet)
        chosen = [next(fresh) if int((place + 1) * SEND_SHARE) > int(place * SEND_SHARE) else next(quiet) for place in range(n)]
        file = folder / f"bodies-{len(self.copies)}.jsonl"
        file.write_text("".join(json.dumps({"user_id": user_id}) + "\n" for user_id in chosen))
        return file

    def batches(self, folder: Path, size: int) -> Path:
        """Write requests about many quiet users each."""
        some = [self.quiet[start : start + size] for start in range(0, len(self.quiet) - size, size)]
        file = folder / "batches.jsonl"
        file.write_text("".join(json.dumps([{"user_id": user_id} for user_id in batch]) + "\n" for batch in some))
        return file

    def remove_copies(self) -> None:
        """Delete the copies' timelines and profiles; their receipts expire."""
        for start in range(0, len(self.copies), _AT_ONCE):
            self.opened.client.unlink(*self._keys(self.copies[start : start + _AT_ONCE]))

    def _copied(self, n: int) -> list[str]:
        sources = cycle(self.sent_to)
        ids = (f"{self.run}-{number}" for number in count(self._next_number))
        pairs = {user_id: next(sources) for user_id in islice((one for one in ids if not self._is_held_out(one)), n)}
        self._next_number = 1 + int(list(pairs)[-1].rpartition("-")[2])
        self.copies += pairs
        with self.opened.client.pipeline(transaction=False) as pipe:
            for source, copy in zip(self._keys(list(pairs.values())), self._keys(list(pairs)), strict=True):
                pipe.copy(source, copy)
            pipe.execute()
        return list(pairs)

    def _is_held_out(self, user_id: str) -> bool:
        holdout = self.opened.policy.holdout
        return holdout is not None and draw(f"holdout:{holdout.salt}", user_id) < holdout.share

    def _keys(self, user_ids: list[str]) -> list[bytes]:
        return user_keys(self.opened.feature_store.config, user_ids)
