"""What the price of a slot is worth: dropouts prevented a message under the same caps, with a price and without.

Simulated users have two pushes in any seven days. Their risk differs from day to day: a level of their own that drifts, and days that stand
out. A push takes away the same share of whatever risk there is. Every decision is that of `serving.decision.decide`. Two references: the
same policy without a price, and without a price but with a threshold so high that it sends as few messages: being sparing alone raises
what a message does. Users of one seed choose the price, those of others are measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from features.core.event import to_us
from serving.decision.decide import decide
from serving.decision.policy import Cap, Channel, Message, MessageClass, Policy, Trigger
from serving.decision.values import Action, Contact, Inputs

EFFECT = 0.5
"""Share of the risk that a push takes away."""
THRESHOLD = 0.3
PRICES = (0.16, 0.18, 0.2, 0.22, 0.25)
THRESHOLDS = (0.32, 0.36, 0.4, 0.44)
_N_USERS, _N_DAYS = 600, 56
_START_US = to_us(datetime(2026, 3, 2, 12, tzinfo=UTC))
_DAY_US = 24 * 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a policy came to."""

    messages: int
    retained: float  # expected number of dropouts prevented

    @property
    def per_message(self) -> float:
        """Dropouts prevented a message."""
        return self.retained / max(self.messages, 1)


def policy_with(*, slot_price: float = 0.0, risk_threshold: float = THRESHOLD) -> Policy:
    """Two pushes in any seven days, to whom the risk calls for it."""
    outreach = MessageClass.OUTREACH
    return Policy(
        name="pushes",
        hash="",
        consent_attribute="consent",
        timezone_attribute="timezone",
        default_timezone="UTC",
        min_events=0,
        risk_threshold=risk_threshold,
        triggers=(Trigger(name="risk", message_class=outreach, severity="high", risk_above_threshold=True),),
        channels=(Channel(name="push", message_class=outreach, slot_price=slot_price),),
        messages=(
            Message(id="push", message_class=outreach, channel="push", title="-", body="-", effect=EFFECT, cooldown=timedelta(hours=1)),
        ),
        caps=(Cap(name="push_per_week", limit=2, channel="push", window=timedelta(days=7)), Cap(name="all_per_day", limit=1)),
    )


def draw_risks(*, n_users: int, n_days: int, seed: int) -> npt.NDArray[np.float64]:
    """Draw P(dropout) of each user on each day, shape (n_users, n_days), in (0, 1): a drifting level and days that stand out."""
    rng = np.random.default_rng(seed)
    level = rng.normal(-0.6, 0.7, (n_users, 1)) + 0.15 * rng.normal(size=(n_users, n_days)).cumsum(axis=1)
    return np.asarray(1.0 / (1.0 + np.exp(-(level + rng.normal(0.0, 1.0, (n_users, n_days))))), dtype=np.float64)


def play(risks: npt.NDArray[np.float64], policy: Policy) -> Outcome:
    """Decide about every user once a day; a message counts towards the caps of the days to come."""
    messages, retained = 0, 0.0
    for user, days in enumerate(risks.tolist()):
        contacts: tuple[Contact, ...] = ()
        for day, risk in enumerate(days):
            at_us = _START_US + day * _DAY_US
            if not _sends(user, at_us, risk, contacts=contacts, policy=policy):
                continue
            contact = Contact(decision_id="d", channel="push", message_class=MessageClass.OUTREACH, message_id="push", at_us=at_us)
            contacts = (*contacts, contact)[-2:]  # older ones are more than a week away
            messages, retained = messages + 1, retained + risk * EFFECT
    return Outcome(messages=messages, retained=retained)


def best_price(risks: npt.NDArray[np.float64]) -> float:
    """The price, of those on offer, under which these users would have been retained most."""
    return max(PRICES, key=lambda price: play(risks, policy_with(slot_price=price)).retained)


def _sends(user: int, at_us: int, risk: float, *, contacts: tuple[Contact, ...], policy: Policy) -> bool:
    inputs = Inputs(
        decision_id="d",
        user_id=f"u{user}",
        as_of_us=at_us,
        n_events=10,
        features={"count": 1.0},
        risk=risk,
        contributions=None,
        profile={"consent": True},
        segment=None,
        contacts=contacts,
    )
    return decide(inputs, policy).action is Action.SEND


def equally_sparing(risks: npt.NDArray[np.float64], messages: int) -> float:
    """What a fixed threshold would retain with so many messages, between the two of `THRESHOLDS` nearest to it."""
    outcomes = sorted((play(risks, policy_with(risk_threshold=each)) for each in THRESHOLDS), key=lambda outcome: outcome.messages)
    return float(np.interp(messages, [outcome.messages for outcome in outcomes], [outcome.retained for outcome in outcomes]))


def main() -> int:
    """Choose a price on some users and measure it on others."""
    from benchmarks.report import row, write

    price = best_price(draw_risks(n_users=_N_USERS, n_days=_N_DAYS, seed=0))
    risks = draw_risks(n_users=_N_USERS, n_days=_N_DAYS, seed=1)
    greedy, priced = play(risks, policy_with()), play(risks, policy_with(slot_price=price))
    reference, sparing = "no price, the same caps", equally_sparing(risks, priced.messages)
    rows = [
        row("slot price", price, "share of risk", reference="chosen on other users"),
        row("messages ratio", priced.messages / greedy.messages, "times", reference=reference),
        row("retained per message ratio", priced.per_message / greedy.per_message, "times", reference=reference, at_least=1.0),
        row("retained ratio", priced.retained / greedy.retained, "times", reference=reference, at_least=1.0),
        row("retained at equal messages ratio", priced.retained / sparing, "times", reference="a fixed threshold", at_least=1.0),
    ]
    note = f"{_N_USERS} users over {_N_DAYS} days; a push takes away half of the risk: simulated, no promise"
    return 0 if write("slot-price", rows, notes=(note,)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
