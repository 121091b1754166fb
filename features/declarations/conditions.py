"""Conditions as people write them: ``count_login_failed_2m >= 3``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from features.core.condition import Comparison, Condition
from features.declarations.fields import refuse

_CONDITION = re.compile(r"([a-z][a-z0-9_]*) *(>=|<=|>|<) *([-+]?[0-9]+(?:\.[0-9]+)?)", re.ASCII)


def read_condition(value: Any) -> Condition | None:
    """The condition that a text states; None when it states none.

    Examples
    --------
    >>> read_condition("count_login_7d >= 3")
    Condition(feature='count_login_7d', comparison=<Comparison.AT_LEAST: '>='>, value=3.0)
    """
    match = _CONDITION.fullmatch(value) if isinstance(value, str) else None
    return None if match is None else Condition(feature=match[1], comparison=Comparison(match[2]), value=float(match[3]))


def _condition(value: Any) -> Condition:
    condition = read_condition(value)
    if condition is None:
        raise refuse('a condition such as "count_login_failed_2m >= 3"', "write one feature, one of >= > <= <, one number")
    return condition


ConditionText = Annotated[Condition, BeforeValidator(_condition)]
