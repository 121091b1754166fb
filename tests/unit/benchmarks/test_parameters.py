"""Benchmarks run for minutes and seldom: what they are asked with must hold on every day."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NEEDS_AN_EXTRA = {"bench_spark": "pyspark"}


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "benchmarks").glob("bench_*.py")))
def test_what_a_benchmark_is_asked_with_is_accepted(name):
    pytest.importorskip(NEEDS_AN_EXTRA.get(name, "numpy"))
    assert callable(importlib.import_module(f"benchmarks.{name}").main)
