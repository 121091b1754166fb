"""Which channel goes first within a class: the one that the user prefers, that suits the urgency, that was used less of late."""

from __future__ import annotations

from collections.abc import Sequence

from serving.decision.policy import Channel, MessageClass, Policy, Trigger
from serving.decision.values import Contact, Inputs

URGENT = ("critical", "high")
"""Severities of triggers that call for an urgent channel."""


def rank(channel: Channel, trigger: Trigger | None, inputs: Inputs, policy: Policy) -> tuple[bool, bool, bool, int]:
    """Place of an arm, to be sorted by, the smallest first; of equals the order is the policy's.

    Assist before outreach; then the channel that the user's profile names; then, for a trigger of severity critical or high, urgent
    channels, and for any other the rest; then the channel with fewer contacts within the policy's fatigue window.
    """
    preferred = inputs.profile.get(policy.preference_attribute) if policy.preference_attribute else None
    is_urgent = trigger is not None and trigger.severity in URGENT
    used = _used(channel, inputs.contacts, inputs.as_of_us - policy.fatigue_us) if policy.fatigue_us and inputs.contacts else 0
    return channel.message_class is not MessageClass.ASSIST, channel.name != preferred, channel.urgent is not is_urgent, used


def _used(channel: Channel, contacts: Sequence[Contact], since_us: int) -> int:
    return sum(contact.channel == channel.name and contact.at_us > since_us for contact in contacts)
