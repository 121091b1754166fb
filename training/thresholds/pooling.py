"""Partial pooling: a small segment's stayers borrow from everybody else's, and less so the more of their own there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.thresholds.alert_error import Evidence

_WEAKEST, _STRONGEST = 2.0, 50.0  # users that the others may count for
_FEWEST_SEGMENTS = 3  # below that nothing is known of how segments differ
_FEWEST_USERS = 5.0


def prior_strength(segments: Sequence[Evidence]) -> float:
    """How many users of its own the others count for in a segment: k = m (1 - m) / tau^2 - 1, between 2 and 50.

    m is the common share and tau^2 the variance between segments beyond what chance explains, by moments. Segments alike: the others count
    for much; segments apart, or fewer than three of them: for little.

    References
    ----------
    DerSimonian, Laird (1986), doi:10.1016/0197-2456(86)90046-2.

    Examples
    --------
    >>> alike = [Evidence(hits=10.0, n=100.0, rows=100, users=100)] * 4
    >>> apart = [Evidence(hits=float(hits), n=100.0, rows=100, users=100) for hits in (2, 5, 20, 40)]
    >>> prior_strength(alike), round(prior_strength(apart), 1)
    (50.0, 3.8)
    """
    known = [seen for seen in segments if seen.n >= _FEWEST_USERS]
    if len(known) < _FEWEST_SEGMENTS:
        return _WEAKEST
    n = np.array([seen.n for seen in known])
    share = np.array([seen.hits for seen in known]) / n
    common = float(share @ n / n.sum())
    spread = common * (1 - common)
    if spread <= 0:
        return _WEAKEST
    weights = n / spread
    excess = float(weights @ (share - common) ** 2) - (len(known) - 1)
    between = max(0.0, excess / float(weights.sum() - weights @ weights / weights.sum()))
    return _STRONGEST if between == 0 else float(np.clip(spread / between - 1, _WEAKEST, _STRONGEST))


def pooled(own: Evidence, others: float, strength: float) -> Evidence:
    """Own rows, and ``strength`` more of whom the share ``others`` are hits, as of the other segments'.

    The pooled share is w own + (1 - w) others with w = n / (n + strength): its inverse in the threshold is the quantile of a mixture of
    the two score distributions with these weights.

    Examples
    --------
    >>> both = pooled(Evidence(hits=4.0, n=20.0, rows=90, users=25), 0.1, 20.0)
    >>> both.hits / both.n
    0.15
    """
    return Evidence(hits=own.hits + strength * others, n=own.n + strength, rows=own.rows, users=own.users)
