"""Where chance decides: which open arm, and which message, with the chance that each had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from serving.decision.caps import is_free
from serving.decision.case import Choice
from serving.decision.chance import draw, pick
from serving.decision.messages import messages_for
from serving.decision.options import Option
from serving.decision.policy import Policy
from serving.decision.values import Inputs


class Chosen(NamedTuple):
    """What is done: an open arm, or none; and the chances that the arms had."""

    option: Option | None
    greedy: Option | None  # what would be done without chance: the first open arm
    explored: bool  # chance chose the arm, be it the policy's own
    propensities: tuple[float, ...]  # of each option, then of none; they sum to 1


def choose_arm(options: Sequence[Option], inputs: Inputs, policy: Policy) -> Chosen:
    """The first open arm; or, for a share of the decisions, one drawn from the open arms and none with equal chances."""
    places = [place for place, option in enumerate(options) if not option.refusals]
    none = len(options)
    if not places:  # as for most users
        return Chosen(option=None, greedy=None, explored=False, propensities=(*[0.0] * none, 1.0))
    greedy, share = places[0], policy.exploration.arm_share
    candidates = [*places, none]
    explored = share > 0.0 and draw("explore arm", inputs.decision_id) < share
    place = candidates[pick("arm", inputs.decision_id, len(candidates))] if explored else greedy
    chances = [0.0] * (none + 1)
    for candidate in candidates:
        chances[candidate] = share / len(candidates)
    chances[greedy] += 1.0 - share
    return Chosen(
        option=None if place == none else options[place],
        greedy=options[greedy],
        explored=explored,
        propensities=tuple(chances),
    )


def choose_message(option: Option, inputs: Inputs, policy: Policy) -> Choice:
    """The arm's message; or, for a share of the decisions, one drawn with equal chances from those that it may send now.

    So the worth of a message that answers the cause is measured against one that does not.
    """
    assert option.choice is not None  # the rule "message" passed
    share = policy.exploration.message_share
    if share == 0.0:
        return option.choice
    fitting = [m for m in messages_for(option.judge.shelf, inputs) if is_free(option.channel, m, inputs, option.moment, policy)]
    of_each = share / len(fitting)
    if draw("explore message", inputs.decision_id) >= share:
        return option.choice._replace(propensity=1.0 - share + of_each)
    drawn = fitting[pick("message", inputs.decision_id, len(fitting))]
    if drawn.id == option.choice.message.id:
        return option.choice._replace(propensity=1.0 - share + of_each)
    return Choice(message=drawn, cause=None, contribution=None, propensity=of_each)
