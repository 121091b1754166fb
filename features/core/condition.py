"""One number against one bound: what rules of the product and of the policy are made of."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
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
        """All that it asks, for loops in which looking up each field would take longer than comparing."""
        return self.feature, self.compare, self.value


def holds(condition: Condition, numbers: Mapping[str, float]) -> bool:
    """Whether the number of that name satisfies the condition; one that is missing or undefined satisfies none.

    Examples
    --------
    >>> often = Condition(feature="count_login_7d", comparison=Comparison.AT_LEAST, value=3.0)
    >>> holds(often, {"count_login_7d": 3.0}), holds(often, {"count_login_7d": math.nan}), holds(often, {})
    (True, False, False)
    """
    # NaN compares false with everything.
    return bool(condition.compare(numbers.get(condition.feature, math.nan), condition.value))
