"""One number against one bound: what rules of the product and of the policy are made of."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Comparison(StrEnum):
    """How a condition compares; a missing number (NaN) satisfies none."""

    AT_LEAST = ">="
    ABOVE = ">"
    AT_MOST = "<="
    BELOW = "<"


Test = tuple[str, Callable[[float, float], bool], float]
"""Name of a number, how it is compared, and with what."""

_HOLDS = {
    Comparison.AT_LEAST: operator.ge,
    Comparison.ABOVE: operator.gt,
    Comparison.AT_MOST: operator.le,
    Comparison.BELOW: operator.lt,
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One feature, or the age of one instant of the profile, against one number."""

    feature: str
    comparison: Comparison
    value: float

    @cached_property
    def compare(self) -> Callable[[float, float], bool]:
        """The comparison as a function."""
        return _HOLDS[self.comparison]

    @cached_property
    def test(self) -> Test:
        """All that it asks, for loops in which looking up each field would take longer than comparing; the name is interned."""
        return sys.intern(self.feature), self.compare, self.value
