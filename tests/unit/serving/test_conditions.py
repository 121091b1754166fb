from __future__ import annotations

import pytest

from features.core.condition import Comparison, Condition
from serving.decision.conditions import asking, that_hold
from serving.decision.policy import Guardrail, Membership, MessageClass, SegmentCondition
from serving.policy_file import load_policy, policy_document, policy_from_document
from tests.serving_world import ROOT, golden_inputs

INPUTS = golden_inputs(
    segment="free",
    segments={"engagement": "at_risk", "learned": "s3"},
    ages={"seconds_since_signup_at": 60.0},
    features={"count_login_7d": 2.0},
)


def all_hold(conditions, inputs):
    rule = Guardrail(name="rule", conditions=tuple(conditions), sentence="", classes=tuple(MessageClass))
    return list(that_hold(asking([rule]), inputs)) == [rule]


@pytest.mark.parametrize(
    ("segmentation", "membership", "segment", "held"),
    [
        (None, "==", "free", True),
        (None, "==", "team", False),
        (None, "!=", "team", True),
        ("engagement", "==", "at_risk", True),
        ("engagement", "!=", "at_risk", False),
        ("learned", "==", "s3", True),
        ("lifecycle", "==", "dormant", False),  # in no segment of it
        ("lifecycle", "!=", "dormant", False),
    ],
)
def test_a_segment_condition(segmentation, membership, segment, held):
    condition = SegmentCondition(segmentation=segmentation, membership=Membership(membership), segment=segment)
    assert all_hold([condition], INPUTS) is held


def test_numbers_are_features_or_ages():
    young = Condition(feature="seconds_since_signup_at", comparison=Comparison.BELOW, value=61.0)
    active = Condition(feature="count_login_7d", comparison=Comparison.ABOVE, value=1.0)
    assert all_hold([young, active], INPUTS)
    assert not all_hold([young], golden_inputs())
    assert all_hold([], INPUTS)


def test_every_form_is_read_from_the_file_and_kept_by_the_document(onboarding, tmp_path):
    file = tmp_path / "policy.yaml"
    written = ["segment == free", "segment.engagement != lapsed", "segment.learned == s2", "seconds_since_signup_at < 86400"]
    text = (ROOT / "products" / "onboarding" / "policy.yaml").read_text()
    file.write_text(text.replace('["count_login_failed_2m >= 3"]', str(written)))
    policy = load_policy(file, onboarding)
    read = [
        f"{c.feature} {c.comparison.value} {c.value:g}"
        if isinstance(c, Condition)
        else f"segment{f'.{c.segmentation}' if c.segmentation else ''} {c.membership.value} {c.segment}"
        for c in policy.triggers[0].conditions
    ]
    assert read == written
    assert policy_from_document(policy_document(policy)) == policy
