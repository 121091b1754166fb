"""Delays that chance draws, held against what they can show and whom they can reach."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from features.core.catalogue import window_text
from features.core.product import Product
from serving.decision.policy import MessageClass, Policy
from serving.policy_review.findings import Finding, Remark

_SHARE, _DELAYS = "exploration.delay_share", "exploration.delays"


def drawn_delays(policy: Policy, product: Product | None) -> Iterator[Remark]:
    """Delays that nobody waits for, or whose message comes when the outcome is known; and what they do not show."""
    if not policy.exploration.draws_delays:
        if policy.timing is not None:
            sentence = (
                "No delay is drawn by chance: without a trial from elsewhere timing never knows a better moment, and always abstains."
            )
            yield Remark(kind=Finding.NOTE, path=_SHARE, sentence=sentence)
        return
    if MessageClass.OUTREACH not in policy.channels_by_class:
        sentence = "No channel is of the class outreach, and help never waits: nothing is drawn."
        yield Remark(kind=Finding.DEAD, path=_SHARE, sentence=sentence)
        return
    if product is not None:
        yield from _past_the_horizon(policy, product.label.horizon)
    yield from _closed_by_quiet_hours(policy)
    if not policy.exploration.arm_share:
        sentence = "Chance never sends nothing (arm_share is 0): what waiting does will be seen, not what writing at all does."
        yield Remark(kind=Finding.NOTE, path=_SHARE, sentence=sentence)
    if policy.timing is not None and (others := sorted(set(policy.timing.delays) - set(policy.exploration.delays))):
        sentence = f"Of timing.delays {_listed(others)} are never drawn: what they do is guessed from the others."
        yield Remark(kind=Finding.NOTE, path=_DELAYS, sentence=sentence)


def _past_the_horizon(policy: Policy, horizon: timedelta) -> Iterator[Remark]:
    if late := [delay for delay in policy.exploration.delays if delay >= horizon]:
        sentence = (
            f"After {_listed(late)} the horizon of {window_text(horizon)} is over: whether the user came back is known before the message"
            " goes out, and nothing is learned of it."
        )
        yield Remark(kind=Finding.CONFLICT, path=_DELAYS, sentence=sentence)


def _closed_by_quiet_hours(policy: Policy) -> Iterator[Remark]:
    """Quiet hours that leave fewer than two of the delays whatever the hour: then nothing is ever drawn."""
    minutes = [delay // timedelta(minutes=1) for delay in policy.exploration.delays]
    ranges = policy.quiet_by_class[MessageClass.OUTREACH]
    quiet = {(one.start_minute + offset) % _DAY for one in ranges for offset in range((one.end_minute - one.start_minute) % _DAY)}
    if all(sum((asked + delay) % _DAY not in quiet for delay in minutes) < _LEAST for asked in range(_DAY)):
        sentence = "Whatever the hour, quiet hours leave fewer than two of the delays: nothing is drawn."
        yield Remark(kind=Finding.DEAD, path=_DELAYS, sentence=sentence)


_DAY, _LEAST = 1440, 2


def _listed(delays: list[timedelta]) -> str:
    return ", ".join(window_text(delay) for delay in delays)
