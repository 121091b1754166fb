"""Older bytes stay readable for ever; newer ones are told from broken ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.core.timeline import NewerTimelineFormatError, Timeline, TimelineFormatError, merge, pack, unpack
from tests.formats import v1
from tests.formats.other import as_version

CASES = json.loads((Path(__file__).parent / "v1.json").read_text())
"""What the first release wrote, with the events it wrote it for."""


def named(case: dict[str, Any]) -> str:
    return case["name"]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_frozen_version_1_is_what_the_first_release_wrote(case: dict[str, Any]) -> None:
    packed = bytes.fromhex(case["packed"])
    rows, let_go = v1.read(packed)
    assert ([list(row) for row in rows], [list(key) for key in let_go]) == (case["events"], case["let_go"])
    assert v1.write(rows, let_go) == packed


@pytest.mark.parametrize("case", CASES, ids=named)
def test_version_1_is_read_and_version_2_written(case: dict[str, Any]) -> None:
    timeline = unpack(bytes.fromhex(case["packed"]))
    assert timeline.events.T.tolist() == case["events"]
    assert timeline.let_go.T.tolist() == case["let_go"]
    packed = pack(timeline)
    assert packed[:4] == b"SHT\2"
    assert len(packed) < len(case["packed"]) / 2
    assert pack(merge(Timeline(), unpack(packed), ())) == pack(merge(Timeline(), timeline, ()))
    assert unpack(packed).events.T.tolist() == case["events"]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_process_of_version_1_refuses_version_2(case: dict[str, Any]) -> None:
    with pytest.raises(v1.NewerError, match="format version 2, expected 1"):
        v1.read(pack(unpack(bytes.fromhex(case["packed"]))))


def test_a_newer_version_is_refused_by_name_and_says_what_to_do() -> None:
    newer = as_version(bytes.fromhex(CASES[0]["packed"]), 3)
    with pytest.raises(NewerTimelineFormatError, match=r"version 3, expected 1 to 2; .* newer version of Stillhere: upgrade this process"):
        unpack(newer)


def test_a_corrupted_version_is_no_newer_one() -> None:
    packed = pack(unpack(bytes.fromhex(CASES[0]["packed"])))
    for version in (0, 1, 3, 255):
        with pytest.raises(TimelineFormatError, match="stillhere rebuild") as caught:
            unpack(packed[:3] + bytes([version]) + packed[4:])
        assert not isinstance(caught.value, NewerTimelineFormatError)


@pytest.mark.parametrize("version", [0, 1])
def test_a_sealed_version_that_was_never_written_is_no_newer_one(version: int) -> None:
    packed = pack(unpack(bytes.fromhex(CASES[2]["packed"])))
    with pytest.raises(TimelineFormatError, match="do not fit together") as caught:
        unpack(as_version(packed, version))
    assert not isinstance(caught.value, NewerTimelineFormatError)


def test_one_late_event_does_not_widen_the_others() -> None:
    (case,) = [case for case in CASES if case["name"] == "late, early and sparse values"]
    assert len(pack(unpack(bytes.fromhex(case["packed"])))) < 0.85 * len(case["packed"]) / 2


@pytest.mark.parametrize("n", [1, 255, 256, 257, 700])
@pytest.mark.parametrize("places", [(0,), (-1,), (0, -1), (0, 255), (0, 256), tuple(range(0, 700, 3))])
def test_exceptions_anywhere_survive_packing(n: int, places: tuple[int, ...]) -> None:
    rows = np.zeros((8, n), np.int64)
    rows[1], rows[2] = np.arange(n), np.arange(n) * 0x0101_0101_0101_0101 >> 1
    rows[3] = rows[1]
    for place in places:
        if place < n:
            rows[3, place] += 10**12
            rows[6, place] = -(2**40)
            rows[4, place] = 7
    timeline = Timeline(events=rows)
    again = unpack(pack(timeline))
    assert (again.events == rows).all()
    assert pack(again) == pack(timeline)
