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
    is_held_out = made.code == "holdout" and policy.holdout is not None
    share = policy.holdout.share if is_held_out and policy.holdout is not None else _explored(policy)
    done = _done(own, is_explained=not is_held_out)
    return f"It decided here, as it does in {share:.0%} of cases, so that the worth of contacting is known. The policy's own: {done}."


def _explored(policy: Policy) -> float:
    """Share of decisions in which arm or message is drawn."""
    exploration = policy.exploration
    return 1.0 - (1.0 - exploration.arm_share) * (1.0 - exploration.message_share)


def _done(decision: Decision, *, is_explained: bool) -> str:
    """Which message it would be is not known of who was not explained: causes are looked for only where something may be sent."""
    if decision.message_id is None:
        return "nothing"
    return f"{decision.message_id if is_explained else 'a message'} by {decision.channel}"
