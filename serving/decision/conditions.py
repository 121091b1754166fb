"""Whether a user meets a policy's conditions: numbers of behaviour, ages of the profile, segments."""

from __future__ import annotations

from collections.abc import Iterable

from features.core.condition import Condition, holds
from serving.decision.policy import Membership, SegmentCondition
from serving.decision.values import Inputs


def all_hold(conditions: Iterable[Condition | SegmentCondition], inputs: Inputs) -> bool:
    """Whether every condition holds; what is not known satisfies none."""
    for condition in conditions:  # noqa: SIM110 - runs for every trigger and message: a generator would double its time
        if not _holds(condition, inputs):
            return False
    return True


def _holds(condition: Condition | SegmentCondition, inputs: Inputs) -> bool:
    if isinstance(condition, Condition):
        number = inputs.features.get(condition.feature)  # the common case, without the call: most of a decision's conditions
        if number is not None:
            return condition.compare(number, condition.value) or (condition.feature in inputs.ages and holds(condition, inputs.ages))
        return condition.feature in inputs.ages and holds(condition, inputs.ages)
    segment = inputs.segment if condition.segmentation is None else inputs.segments.get(condition.segmentation)
    return segment is not None and (segment == condition.segment) is (condition.membership is Membership.IS)
