"""Whether a user meets a policy's conditions: numbers of behaviour, ages of the profile, segments."""

from __future__ import annotations

import math
from collections.abc import Iterable

from features.core.condition import Condition
from serving.decision.policy import Membership, SegmentCondition
from serving.decision.values import Inputs


def all_hold(conditions: Iterable[Condition | SegmentCondition], inputs: Inputs) -> bool:
    """Whether every condition holds; what is not known satisfies none."""
    numbers, ages = inputs.features, inputs.ages  # they share no name
    for condition in conditions:  # runs for every trigger, guardrail and message: a generator, or a call for each, would double its time
        if not isinstance(condition, Condition):
            if not _is_member(condition, inputs):
                return False
            continue
        number = numbers.get(condition.feature)
        if number is None:
            number = ages.get(condition.feature, math.nan)  # NaN satisfies none
        if not condition.compare(number, condition.value):
            return False
    return True


def _is_member(condition: SegmentCondition, inputs: Inputs) -> bool:
    segment = inputs.segment if condition.segmentation is None else inputs.segments.get(condition.segmentation)
    return segment is not None and (segment == condition.segment) is (condition.membership is Membership.IS)
