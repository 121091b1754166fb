"""Whether a user meets a policy's conditions: numbers of behaviour, ages of the profile, segments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

from features.core.condition import Condition
from serving.decision.policy import Guardrail, Membership, Message, SegmentCondition, Trigger
from serving.decision.values import Inputs

R = TypeVar("R", Trigger, Guardrail, Message)


def that_hold(rules: Iterable[R], inputs: Inputs) -> Iterator[R]:
    """Those of the rules (triggers, guardrails, messages) of which every condition holds; what is not known satisfies none."""
    numbers, ages = inputs.features, inputs.ages  # they share no name
    for rule in rules:  # dozens for each decision: a call for each of them, or for each condition, would double the time
        for condition in rule.conditions:
            if not isinstance(condition, Condition):
                if not _is_member(condition, inputs):
                    break
                continue
            number = numbers.get(condition.feature)
            if number is None:
                number = ages.get(condition.feature, math.nan)  # NaN satisfies none
            if not condition.compare(number, condition.value):
                break
        else:
            yield rule


def _is_member(condition: SegmentCondition, inputs: Inputs) -> bool:
    segment = inputs.segment if condition.segmentation is None else inputs.segments.get(condition.segmentation)
    return segment is not None and (segment == condition.segment) is (condition.membership is Membership.IS)
