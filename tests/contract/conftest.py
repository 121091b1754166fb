"""Every ledger, for the suites that each of them must pass."""

from __future__ import annotations

import pytest

from serving.adapters.memory_ledger import MemoryLedger
from serving.adapters.redis_ledger import RedisLedger, connect


@pytest.fixture(params=["memory", "redis"])
def ledger(request, redis_url):
    if request.param == "memory":
        yield MemoryLedger()
        return
    with connect(redis_url, timeout_ms=5_000) as client:
        yield RedisLedger(client=client)
