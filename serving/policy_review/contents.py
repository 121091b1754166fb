"""Messages of one campaign that say different things to the same people."""

from __future__ import annotations

from collections.abc import Iterator

from serving.decision.policy import Message, Policy
from serving.policy_review.findings import Finding, Remark


def contents(policy: Policy) -> Iterator[Remark]:
    """Content under one name that differs between channels of a campaign: who is reached by both is told two things."""
    first: dict[tuple[str, str], Message] = {}  # by campaign and name
    for message in policy.messages:
        for name, text in message.content.items():
            if message.campaign is None:
                continue
            other = first.setdefault((message.campaign, name), message)
            if other.channel != message.channel and other.content[name] != text:
                sentence = f"It is not that of {other.id}, which is of the same campaign, {message.campaign}, on {other.channel}."
                yield Remark(kind=Finding.NOTE, path=f"messages.{message.id}.content.{name}", sentence=sentence)
