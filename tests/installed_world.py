"""A whole installation over a real Redis, Feast and Parquet, with HTTP in front and a clock that only moves when told to."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from features.core.event import to_us
from features.home import Home
from serving import bootstrap
from serving.adapters.idempotency import RedisIdempotencyKeys
from serving.api.app import build_app
from serving.api.context import ApiContext
from serving.api.metrics import Metrics
from serving.identity import foreseen_rejections
from serving.settings import read_settings
from serving.worker import Worker, worker_of
from tests.certain import certain_product
from tests.http_client import InProcess
from tests.serving_world import NOON, PATIENCE_S

AGREED = {"consent": True, "in_app_opt_in": True, "email_opt_in": True, "timezone": "UTC"}


class InstalledWorld:
    """The onboarding product, installed in ``home``."""

    def __init__(self, home: Path, redis_url: str, *, declares: str = "") -> None:
        """``declares``: lines of product.yaml besides the shipped ones."""
        folder = certain_product(home.with_name(f"{home.name}-product"))
        if declares:
            (folder / "product.yaml").write_text(f"{(folder / 'product.yaml').read_text()}\n{declares}\n")
        environment = {"STILLHERE_HOME": str(home), "STILLHERE_PRODUCT": str(folder)}
        self.now = NOON
        self.home = Home(home)
        self.opened = bootstrap.installation(read_settings(environment), redis_url, asks_registry=False)
        self.http = InProcess(build_app(self._context()))
        self._sent = 0

    @property
    def now_us(self) -> int:
        return to_us(self.now)

    def worker(self) -> Worker:
        worker = worker_of(self.opened)
        worker.now_us = lambda: self.now_us
        worker.log_delay_us = 0
        return worker

    def work(self) -> None:
        """Everything accepted so far, applied."""
        worker = self.worker()
        while worker.step(block_ms=1):
            pass
        worker.finish()

    def send(self, *items: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post("/v1/events", list(items))
        self.work()
        return answer.json()

    def event(self, user_id: str, kind: str, **content: Any) -> dict[str, Any]:
        self._sent += 1
        at = self.now - timedelta(seconds=10) + timedelta(milliseconds=self._sent)
        return {"event_id": f"e{self._sent}", "user_id": user_id, "kind": kind, "occurred_at": at.isoformat(), **content}

    def identify(self, user_id: str, *, anonymous_id: str | None = None, **traits: Any) -> dict[str, Any]:
        item = {"type": "identify", "user_id": user_id, "occurred_at": self.now.isoformat(), "traits": {**AGREED, **traits}}
        return item if anonymous_id is None else {**item, "anonymous_id": anonymous_id}

    def alias(self, previous_id: str, user_id: str) -> dict[str, Any]:
        return {"type": "alias", "previous_id": previous_id, "user_id": user_id, "occurred_at": self.now.isoformat()}

    def decide(self, user_id: str) -> dict[str, Any]:
        return self.http.post("/v1/decisions", {"user_id": user_id}).json()

    def later(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    def close(self) -> None:
        self.opened.close()

    def _context(self) -> ApiContext:
        opened = self.opened
        return ApiContext(
            product=opened.product,
            decider=opened.decisions(),
            stream=opened.stream,
            deliveries=opened.ledger,
            idempotency_keys=RedisIdempotencyKeys(client=opened.client),
            receipt=lambda decision_id: opened.ledger.receipt(opened.product.name, decision_id),
            metrics=Metrics(CollectorRegistry()),
            now_us=lambda: self.now_us,
            checks=dict,
            wait_s=PATIENCE_S,
            foreseen=lambda items: foreseen_rejections(opened.identities, items),
        )
