from __future__ import annotations

from pathlib import Path

import pytest

from features.declarations.product_file import load_product
from features.declarations.yaml_file import DeclarationError

SMALLEST = """\
name: shop
description: A shop.
kinds:
  visit: {}
  view: {subject: page}
  purchase: {value_unit: cents}
  refund: {value_unit: refunds}
  bought: {subject: item, value_unit: cents}
groups:
  money: [purchase, refund]
causes:
  silence: {sentence: Nothing happens.}
features:
  - {aggregation: count, of: visit, windows: [7d, 30d], cause: silence}
  - {aggregation: seconds_since_last, of: [visit, purchase]}
label: {activity: [visit, money], horizon: 7d}
profile:
  plan: {type: category}
  age: {type: number}
  vip: {type: boolean}
  zone: {type: text}
  joined: {type: instant}
segments:
  old: {plan: basic, age: 60, vip: true}
segmentations:
  rhythm:
    often: {plan: basic, when: ["count_visit_7d >= 3", "seconds_since_joined < 600"]}
    rarely: {when: "count_visit_30d > 0"}
    rest: {}
"""


@pytest.fixture
def folder(tmp_path):
    """Writes ``product.yaml``; returns its folder."""

    def write(text: str) -> Path:
        (tmp_path / "product.yaml").write_text(text)
        return tmp_path

    return write


@pytest.fixture
def faults(folder):
    """The lines of the error that a text meets, without the file's path."""

    def lines(text: str) -> list[str]:
        where = folder(text)
        with pytest.raises(DeclarationError) as caught:
            load_product(where)
        prefix = f"{where / 'product.yaml'}: "
        assert all(line.startswith(prefix) for line in str(caught.value).splitlines())
        return [line.removeprefix(prefix) for line in str(caught.value).splitlines()]

    return lines


@pytest.fixture
def smallest() -> str:
    return SMALLEST
