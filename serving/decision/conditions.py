"""Whether a user meets a policy's conditions: numbers of behaviour, ages of the profile, segments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from features.core.condition import Condition, Test
from serving.decision.policy import Guardrail, Membership, Message, SegmentCondition, Trigger
from serving.decision.values import Inputs

R = TypeVar("R", Trigger, Guardrail, Message)


class Asking(NamedTuple, Generic[R]):
    """A rule, and what it asks."""

    rule: R
    numbers: tuple[Test, ...]
    segments: tuple[SegmentCondition, ...]


def asking(rules: Iterable[R]) -> tuple[Asking[R], ...]:
    """What rules (triggers, guardrails, messages) ask, taken apart once for a policy: there are dozens for each decision."""
    return tuple(
        Asking(
            rule,
            tuple(condition.test for condition in rule.conditions if isinstance(condition, Condition)),
            tuple(condition for condition in rule.conditions if not isinstance(condition, Condition)),
        )
        for rule in rules
    )


def that_hold(rules: Iterable[Asking[R]], inputs: Inputs) -> Iterator[R]:
    """Those of the rules of which every condition holds; what is not known satisfies none."""
    number_of, age_of = inputs.features.get, inputs.ages.get  # they share no name
    for rule, tests, segments in rules:
        for name, compare, value in tests:  # a call for each rule, or for each condition, would double the time
            number = number_of(name)
            if number is None:
                number = age_of(name, math.nan)  # NaN satisfies none
            if not compare(number, value):
                break
        else:
            if all(_is_member(condition, inputs) for condition in segments):
                yield rule


def _is_member(condition: SegmentCondition, inputs: Inputs) -> bool:
    segment = inputs.segment if condition.segmentation is None else inputs.segments.get(condition.segmentation)
    return segment is not None and (segment == condition.segment) is (condition.membership is Membership.IS)
