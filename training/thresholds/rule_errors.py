"""The alert error of each rule of the policy, on the same decisions as that of the risk: what was known then, and who then stayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pandas as pd

from training.frame import OUTCOME, USER
from training.thresholds.alert_error import AlertFigures, alert_figures
from training.thresholds.decisions import RISK, SEGMENT
from training.thresholds.report import TITLES
from training.thresholds.rows import alert_rows

if TYPE_CHECKING:
    from serving.decision.policy import Policy

RISK_ALERT = "(risk above the threshold)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleError:
    """One trigger of the policy as an alert: everyone of whom its conditions held."""

    trigger: str
    severity: str
    figures: AlertFigures


def rule_errors(decisions: pd.DataFrame, policy: Policy) -> list[RuleError]:
    """Ask each trigger that needs no risk of each decision's recorded inputs, in the policy's order.

    The rules are those of the policy as it is now, also over decisions that another policy made, and whether or not anything was sent.

    Parameters
    ----------
    decisions
        As of `training.thresholds.decisions.with_outcomes`, with the column ``receipt``.
    """
    from serving.decision.conditions import asking, that_hold
    from serving.decision.record import inputs_from_json

    triggers = [one for of_class in policy.live_triggers.values() for one in of_class if not one.risk_above_threshold]
    asked = asking(triggers)
    inputs = [inputs_from_json(orjson.loads(receipt)["inputs"]) for receipt in decisions["receipt"]]
    held = [{trigger.name for trigger in that_hold(asked, each)} for each in inputs]
    risk = decisions[RISK].to_numpy(dtype=np.float64)
    rows = alert_rows(decisions[USER].to_numpy(), decisions[SEGMENT].to_numpy(), risk, decisions[OUTCOME].to_numpy(dtype=bool))
    return [
        RuleError(
            trigger=trigger.name,
            severity=trigger.severity,
            figures=alert_figures(rows, np.array([trigger.name in names for names in held], dtype=bool)),
        )
        for trigger in triggers
    ]


def rule_table(risk: AlertFigures, rules: Sequence[RuleError]) -> list[dict[str, str]]:
    """One row for the risk alert, then one for each rule."""
    parts = [(RISK_ALERT, "", risk), *((rule.trigger, rule.severity, rule.figures) for rule in rules)]
    return [
        {"alert": name, "class": severity} | {title: str(getattr(figures, figure)) for figure, title in TITLES.items()}
        for name, severity, figures in parts
    ]
