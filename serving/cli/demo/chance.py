"""Where chance decided about somebody of the demo, and what the policy would have done without it."""

from __future__ import annotations

from dataclasses import replace

import orjson

from serving.decision.decide import decide
from serving.decision.policy import Exploration, Policy
from serving.decision.record import inputs_from_json
from serving.decision.values import Decision


def left_to_chance(receipt: bytes, policy: Policy) -> str:
    """What the policy itself would have done, where holdout or exploration did something else; "" where chance changed nothing."""
    inputs = inputs_from_json(orjson.loads(receipt)["inputs"])
    made, own = decide(inputs, policy), decide(inputs, replace(policy, holdout=None, exploration=Exploration()))
    if (made.channel, made.message_id) == (own.channel, own.message_id):
        return ""
    share = policy.holdout.share if made.code == "holdout" and policy.holdout is not None else _explored(policy)
    return f"It decided here, as it does in {share:.0%} of cases, so that the worth of contacting is known. The policy's own: {_done(own)}."


def _explored(policy: Policy) -> float:
    """Share of decisions in which arm or message is drawn."""
    exploration = policy.exploration
    return 1.0 - (1.0 - exploration.arm_share) * (1.0 - exploration.message_share)


def _done(decision: Decision) -> str:
    return "nothing" if decision.message_id is None else f"{decision.message_id} by {decision.channel}"
