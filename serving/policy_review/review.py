"""Everything that is looked for in a policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from features.core.product import Product
from serving.decision.policy import Policy
from serving.policy_review.contents import contents
from serving.policy_review.delays import drawn_delays
from serving.policy_review.findings import Remark
from serving.policy_review.limits import caps, quiet_hours, rate_limits
from serving.policy_review.prices import slot_prices
from serving.policy_review.rules import evidence, exploration, guardrails, messages, modes, thresholds, triggers
from serving.policy_review.switches import degraded, feature_age, silent_classes


def review_policy(policy: Policy, product: Product | None = None) -> list[Remark]:
    """Everything that was found, in the order of the file's sections; an empty list is good news.

    Parameters
    ----------
    product
        Says what numbers a feature may be, and which segments there are; None: neither is known, and what needs it is not looked for.
    """
    of_both: tuple[Callable[[Policy, Product | None], Iterator[Remark]], ...] = (
        evidence,
        triggers,
        guardrails,
        messages,
        feature_age,
        degraded,
    )
    parts: tuple[Iterator[Remark], ...] = (
        modes(policy),
        silent_classes(policy),
        thresholds(policy),
        slot_prices(policy),
        *(part(policy, product) for part in of_both),
        contents(policy),
        caps(policy),
        rate_limits(policy),
        quiet_hours(policy),
        exploration(policy),
        drawn_delays(policy, product),
    )
    return [remark for part in parts for remark in part]
