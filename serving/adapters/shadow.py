"""A challenger scores what was decided, and decides nothing: from the receipts, when they are exported, far from any request.

A receipt holds the very numbers that the champion scored. So that the challenger sees the same traffic costs a decision nothing, and what
goes wrong with it is nobody's answer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.core.program import Program
from serving.decision.record import inputs_from_json
from serving.decision.values import Inputs
from serving.ports import Scorer
from serving.use_case import Followed

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRisk:
    """What the challenger says of one decision's user."""

    model: str  # "onboarding/4"
    risk: float


@dataclass(slots=True, kw_only=True)
class Shadow:
    """Scores receipts with the model that the alias ``shadow`` points at while they are scored."""

    scorer: Followed[Scorer | None]
    program: Program

    def score(self, receipts: Sequence[Mapping[str, Any]]) -> list[ShadowRisk | None]:
        """Score each of the receipts, parsed, in the order given; None where there is no challenger, or nothing that it could score.

        It scores what the champion scored: a decision without a risk has none here either, nor has one that was made with other features
        than this process knows.
        """
        self.scorer.look()
        scorer = self.scorer.value
        risks: list[ShadowRisk | None] = [None] * len(receipts)
        if scorer is None:
            return risks
        asked = {place: inputs for place, receipt in enumerate(receipts) if (inputs := self._inputs(receipt)) is not None}
        for place, risk in zip(asked, self._risks(scorer, list(asked.values())), strict=False):
            risks[place] = ShadowRisk(model=scorer.version, risk=risk)
        return risks

    def _inputs(self, receipt: Mapping[str, Any]) -> Inputs | None:
        if receipt["output"]["risk"] is None or receipt["versions"].get("features") != self.program.catalogue.fingerprint:
            return None
        return inputs_from_json(receipt["inputs"])

    def _risks(self, scorer: Scorer, asked: Sequence[Inputs]) -> list[float]:
        if not asked:
            return []
        names = self.program.catalogue.feature_names
        rows = np.array([[inputs.features[name] for name in names] for inputs in asked])
        try:
            risks: list[float] = scorer.risk(rows, [{**inputs.profile, **inputs.ages} for inputs in asked]).tolist()
        except Exception as exc:  # noqa: BLE001 - a model may fail in any way
            _log.warning("the challenger %s scored none of %d decisions: %s: %s", scorer.version, len(asked), type(exc).__name__, exc)
            return []
        return risks
