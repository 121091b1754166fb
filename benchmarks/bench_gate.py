"""How often the gate refuses because of a segment: challengers that are as good, better, or worse in the largest segment.

    make bench-gate

In simulated worlds the true risk of everybody is known. Champion and challenger are that risk with errors of their own, so that which
of them is better, and where, is planted. Each world is judged by the gate itself (`training.gate.judge`). Beside it two other rules for
a segment: its figure alone, without an interval; and the figure only where half the interval is within the margin, so that the margin
can be told.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.progress import track

from benchmarks.report import row, write
from features.core.product import Product
from features.declarations.product_file import load_product
from models.calibration import sigmoid
from training.compare import Scored, SegmentGain
from training.frame import AS_OF, OUTCOME, USER, TrainingFrame
from training.gate import Gate, Verdict, holds, is_judged, judge
from training.segment_report import SegmentRows

Floats = npt.NDArray[np.float64]

PRODUCT_DIR = Path(__file__).resolve().parent.parent / "products" / "onboarding"
WORLDS = 200
N_USERS = (500, 2_000)
ROWS_A_USER = 4
SHARES = np.array([0.35, 0.14, 0.10, 0.08, 0.07, 0.06, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01])
"""Of the users in each of twelve segments, the largest first."""
ERROR = 0.5
"""Standard deviation of each model's own error of the log-odds."""
HARM = 0.03
"""By how much more the mean log loss grows in the largest segment, where it is planted: 0.02 beyond the gate's margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is planted."""

    name: str
    error: float  # of the challenger
    harm: float = 0.0  # in the largest segment, nats


PLANS = (
    Plan(name="as good", error=ERROR),
    Plan(name="better everywhere", error=0.7 * ERROR),
    Plan(name="worse in the largest segment", error=ERROR, harm=HARM),
)


def main() -> int:
    """Measure everything; 0, since nothing here has a bound."""
    product, gate, rows = load_product(PRODUCT_DIR), Gate(), []
    for n_users in N_USERS:
        for plan in PLANS:
            said = refusals(plan, n_users, product, gate)
            rows += [row(f"refused: {plan.name}, {n_users} users", said[rule] / WORLDS, "of worlds", reference=rule) for rule in RULES]
    notes = [
        f"{WORLDS} worlds each, {ROWS_A_USER} rows a user, {len(SHARES)} segments, the largest of {SHARES[0]:.0%} of the users",
        f"log loss, margin {gate.margin} nats, confidence {gate.confidence:.0%}",
        f"both models err by {ERROR} in log-odds, a better challenger by 30 % less; harm: {HARM} nats in the largest segment",
        "refused because of a segment; what the gate says of the whole is not counted here",
    ]
    return 0 if write("gate", rows, notes=notes) else 1


def refusals(plan: Plan, n_users: int, product: Product, gate: Gate) -> Mapping[str, int]:
    """In how many worlds each rule refuses because of a segment."""
    said: Counter[str] = Counter()
    for seed in track(range(WORLDS), description=f"{plan.name}, {n_users} users", transient=True):
        verdict = judged(plan, n_users, product, gate, np.random.default_rng(seed))
        for rule, allows in RULES.items():
            said[rule] += not all(allows(segment, gate) for segment in verdict.segments)
    return said


def judged(plan: Plan, n_users: int, product: Product, gate: Gate, rng: np.random.Generator) -> Verdict:
    """Make a world and have the gate judge its challenger."""
    users = np.repeat(np.arange(n_users), ROWS_A_USER)
    segment = rng.choice(len(SHARES), size=n_users, p=SHARES)[users]
    truth = rng.normal(-0.5, 1.0, n_users)[users] + rng.normal(0.0, 0.7, len(users))
    outcomes = rng.random(len(users)) < sigmoid(truth)
    champion, challenger = (truth + rng.normal(0.0, error, len(users)) for error in (ERROR, plan.error))
    if plan.harm:
        challenger = np.where(segment == 0, challenger + shift_of(plan.harm, challenger, truth), challenger)
    return judge(
        Scored.by(sigmoid(challenger)),
        Scored.by(sigmoid(champion)),
        test=frame_of(users, outcomes, product),
        segments=[
            SegmentRows(segmentation="planted", segment=f"s{place}", name="", rows=segment == place)
            for place in range(len(SHARES))
            if (segment == place).any()
        ],
        gate=gate,
    )


def shift_of(harm: float, scores: Floats, truth: Floats) -> float:
    """What to add to the scores so that their expected log loss grows by ``harm``, found by halving."""
    low, high = 0.0, 5.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_loss(scores + middle, truth) - expected_loss(scores, truth) < harm else (low, middle)
    return high


def expected_loss(scores: Floats, truth: Floats) -> float:
    """Mean log loss in nats of log-odds where the true ones are known."""
    return float(np.mean(np.logaddexp(0.0, scores) - sigmoid(truth) * scores))


def frame_of(users: npt.NDArray[np.int64], outcomes: npt.NDArray[np.bool_], product: Product) -> TrainingFrame:
    """A test slice with nothing in it but users and outcomes."""
    as_of = pd.Series(pd.Timestamp("2026-03-01", tz="UTC")).repeat(len(users)).reset_index(drop=True)
    return TrainingFrame(product=product, rows=pd.DataFrame({USER: users, AS_OF: as_of, OUTCOME: outcomes}), horizon=timedelta(days=7))


def within_margin(segment: SegmentGain, gate: Gate) -> bool:
    """The figure alone."""
    return not is_judged(segment, gate) or segment.gain.value >= -gate.margin


def not_told_or_within_margin(segment: SegmentGain, gate: Gate) -> bool:
    """The figure, where the margin can be told."""
    return (segment.gain.high - segment.gain.low) / 2 > gate.margin or within_margin(segment, gate)


RULES = {"by the gate": holds, "by the figure alone": within_margin, "where the margin can be told": not_told_or_within_margin}


if __name__ == "__main__":
    sys.exit(main())
