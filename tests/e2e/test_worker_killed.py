"""kill -9 between merge and acknowledgement costs nothing: the next worker merges the same events again, to the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from features.adapters.feast_store import FeastTimelineStore
from features.adapters.raw_log import ParquetRawLog
from features.core.event import to_us
from features.core.timeline import unpack
from serving.adapters.event_stream import RedisEventStream
from serving.adapters.redis_ledger import connect
from serving.api.events import stream_body
from serving.worker import Worker
from tests.serving_world import NOON

pytestmark = pytest.mark.timeout(120)

# The fault hook is the raw log, which is asked right after the merge and right before the acknowledgement.
DIES = """
import os, signal, sys
from pathlib import Path
from serving import bootstrap
from serving.worker import worker_of

class KillsTheProcess:
    def append(self, events):
        os.kill(os.getpid(), signal.SIGKILL)

opened = bootstrap.installation(bootstrap.settings_from_environment(home=Path(sys.argv[1])), sys.argv[2])
worker = worker_of(opened)
worker.raw_log = KillsTheProcess()
worker.log_delay_us = 0
worker.step(block_ms=1)
"""


def test_a_worker_killed_after_the_merge_loses_and_doubles_nothing(redis_url, feature_store, onboarding, tmp_path):
    items = [
        {"event_id": f"e{number}", "user_id": "ada", "kind": "login", "occurred_at": (NOON - timedelta(seconds=number)).isoformat()}
        for number in range(20)
    ]
    timelines = FeastTimelineStore(feature_store, kinds=onboarding.catalogue.kinds, clock_us=lambda: to_us(NOON))
    with connect(redis_url, timeout_ms=5_000) as client:
        stream = RedisEventStream(client, product=onboarding.name, partitions=4)
        stream.publish([("ada", stream_body(item, to_us(NOON))) for item in items])
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        ended = subprocess.run([sys.executable, "-c", DIES, str(tmp_path), redis_url], env=environment, check=False, timeout=100)
        assert ended.returncode == -signal.SIGKILL
        (merged,) = timelines.read(["ada"])
        assert unpack(merged.packed).n_events == 20
        assert stream.backlog() == 20

        raw_log = ParquetRawLog(tmp_path / "raw")
        worker = Worker(
            product=onboarding,
            stream=stream,
            timelines=timelines,
            profiles=None,
            raw_log=raw_log,
            exporter=None,
            now_us=lambda: to_us(NOON),
        )
        assert worker.recover() == 20
        assert timelines.read(["ada"])[0].packed == merged.packed
        assert raw_log.scan().num_rows == 20
        assert stream.backlog() == 0
