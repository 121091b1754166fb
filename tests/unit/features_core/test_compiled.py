"""The compile cache must notice a change in any module, although numba looks at one file only."""

import inspect

import pytest
from numba.core.caching import IndexDataCacheFile

from features.core import order, partition, passes, retention, timeline_format
from features.core.compiled import sources_digest

ENTRIES = [order.group, partition.count_ranges, partition.scatter, passes.pass_over_bytes, passes.pass_over_range, retention.retain]


@pytest.mark.parametrize("entry", [*ENTRIES, timeline_format._read, timeline_format._written], ids=lambda entry: entry.__name__)
def test_every_entry_carries_the_digest_of_all_sources(entry) -> None:
    assert entry._cache._cache_file._source_stamp == sources_digest()


def test_numba_still_compares_that_stamp() -> None:
    assert "stamp != self._source_stamp" in inspect.getsource(IndexDataCacheFile)
