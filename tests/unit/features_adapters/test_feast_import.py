"""Feast is spared typeguard's rewriting; nothing else is."""

from __future__ import annotations

import pytest
import typeguard
from feast import FeatureView

from features.adapters.feast_import import spare_feast_typeguard


def test_feast_is_left_alone_and_everything_else_is_checked():
    spare_feast_typeguard()
    spare_feast_typeguard()  # does nothing the second time

    @typeguard.typechecked
    def double(number: int) -> int:
        return 2 * number

    assert double(2) == 4
    with pytest.raises(typeguard.TypeCheckError):
        double("2")
    assert typeguard.typechecked(FeatureView) is FeatureView
