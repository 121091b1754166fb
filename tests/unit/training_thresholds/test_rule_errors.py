"""A rule's alert error is counted from what was known at each decision, and from who then stayed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from features.declarations.product_file import load_product
from serving.decision.policy import Policy
from serving.policy_file import load_policy
from tests.unit.training_thresholds.receipts import receipt
from training.frame import AS_OF, OUTCOME, USER
from training.thresholds.decisions import RISK, SEGMENT
from training.thresholds.rule_errors import RISK_ALERT, rule_errors, rule_table

ONBOARDING = Path(__file__).resolve().parents[3] / "products" / "onboarding"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(ONBOARDING / "policy.yaml", load_product(ONBOARDING))


HOLDS = {
    "repeated_login_failures": {"count_login_failed_2m": 3.0},
    "login_failure_rate": {
        "ratio_login_failed_to_attempt_7d": 0.2,
        "count_login_failed_7d": 3.0,
        "count_login_failed_1d": 1.0,
        "seconds_since_last_use": 60.0,
    },
}
"""Rule to numbers of which it holds."""


def decisions(name: str) -> pd.DataFrame:
    """Forty users: of every other the rule holds; every fourth drops out, of whom it holds."""
    rows = [receipt(f"u{n}", NOON, risk=0.5, features="f", numbers=HOLDS[name] if n % 2 == 0 else {}, segment=None) for n in range(40)]
    table = pd.DataFrame(rows)[["receipt", "risk", "segment"]].rename(columns={"risk": RISK, "segment": SEGMENT})
    return table.assign(**{USER: [f"u{n}" for n in range(40)], AS_OF: NOON, OUTCOME: [n % 4 == 0 for n in range(40)]})


@pytest.mark.parametrize("name", HOLDS)
def test_a_rule_alerts_wherever_its_conditions_held_whatever_was_decided(policy: Policy, name: str) -> None:
    found = {each.trigger: each for each in rule_errors(decisions(name), policy)}
    figures = found[name].figures
    assert (figures.alerted.value, figures.recall.value) == (0.5, 1.0)
    assert figures.of_alerts.value == 0.5  # 20 alerts, of whom 10 stayed
    assert figures.of_stayers.value == pytest.approx(10 / 30)
    assert set(found) == {one.name for one in policy.triggers if not one.risk_above_threshold}
    table = rule_table(figures, list(found.values()))
    assert [row["alert"] for row in table] == [RISK_ALERT, *found]
    assert table[0]["FP/alerts"].startswith("50")
