"""Champion and challenger on the same decisions: how far their risks lie apart, and what that would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSummary:
    """One champion and one challenger, over the decisions that both scored."""

    champion: str  # "onboarding/3"
    shadow: str  # "onboarding/4"
    n_decisions: int
    mean_difference: float  # challenger minus champion, in probability
    rank_correlation: float  # Spearman's, in [-1, 1]; NaN where either says the same of everybody
    champion_share_above: float  # of decisions with a risk at or above the threshold that was in force
    shadow_share_above: float  # the same, had the challenger's risk counted
    share_crossing: float  # of decisions that would lie on the other side of the threshold


def shadow_summary(scores: Mapping[str, npt.NDArray[np.object_] | FloatArray]) -> list[ShadowSummary]:
    """Compare the challenger with the champion, for each pair of them.

    Parameters
    ----------
    scores
        Columns of equal length, shape (n_decisions,): ``model``, ``shadow_model``, ``risk``, ``shadow_risk``, ``threshold``; what
        `serving.adapters.receipt_files.exported_scores` reads.

    References
    ----------
    Spearman (1904), The proof and measurement of association between two things. https://doi.org/10.2307/1412159

    Examples
    --------
    >>> scores = {
    ...     "model": np.array(["p/1", "p/1", "p/1"]), "shadow_model": np.array(["p/2", "p/2", "p/2"]),
    ...     "risk": np.array([0.2, 0.5, 0.7]), "shadow_risk": np.array([0.1, 0.65, 0.9]), "threshold": np.full(3, 0.6),
    ... }
    >>> (summary,) = shadow_summary(scores)
    >>> summary.n_decisions, round(summary.mean_difference, 3), round(summary.rank_correlation, 3), round(summary.share_crossing, 3)
    (3, 0.083, 1.0, 0.333)
    """
    pairs = sorted(set(zip(scores["model"], scores["shadow_model"], strict=True)))
    return [_of_pair(scores, champion, shadow) for champion, shadow in pairs]


def _of_pair(scores: Mapping[str, npt.NDArray[np.object_] | FloatArray], champion: str, shadow: str) -> ShadowSummary:
    of_pair = (scores["model"] == champion) & (scores["shadow_model"] == shadow)
    risk, other, threshold = (np.asarray(scores[name][of_pair], dtype=np.float64) for name in ("risk", "shadow_risk", "threshold"))
    above, other_above = risk >= threshold, other >= threshold
    return ShadowSummary(
        champion=champion,
        shadow=shadow,
        n_decisions=len(risk),
        mean_difference=float((other - risk).mean()),
        rank_correlation=_rank_correlation(risk, other),
        champion_share_above=float(above.mean()),
        shadow_share_above=float(other_above.mean()),
        share_crossing=float((above != other_above).mean()),
    )


def _rank_correlation(left: FloatArray, right: FloatArray) -> float:
    if np.ptp(left) == 0.0 or np.ptp(right) == 0.0:
        return float("nan")
    from scipy.stats import spearmanr

    return float(spearmanr(left, right).statistic)
