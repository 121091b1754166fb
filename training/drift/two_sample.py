"""Whether a column has moved at all: two-sample tests, and what many tests at once allow to be said."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Adjustment(StrEnum):
    """How the number of tests is accounted for."""

    BENJAMINI_HOCHBERG = "bh"  # false discovery rate, for independent or positively dependent tests
    BENJAMINI_YEKUTIELI = "by"  # false discovery rate, whatever the dependence: features overlap


def ks_p_value(reference: FloatArray, current: FloatArray) -> float:
    """P value of the two-sample Kolmogorov-Smirnov test over the defined values, 0 to 1; 1 where a sample has none.

    Exact where a sample has at most `_EXACT` values, since the limiting law knows nothing of one value beside one (there are two orders,
    as surprising as each other: p is 1) and calls few values beside many certain. Ties, of which counts have many, make it larger than it
    need be, never smaller.

    References
    ----------
    Hodges (1958), The significance probability of the Smirnov two-sample test, doi:10.1007/BF02589501.

    Examples
    --------
    >>> ks_p_value(np.arange(50.0), np.arange(50.0)), ks_p_value(np.arange(50.0), np.arange(50.0) + 100) < 1e-10
    (1.0, True)
    >>> ks_p_value(np.array([1.0]), np.array([2.0])), round(ks_p_value(np.array([1.0, 2.0]), np.array([3.0, 4.0])), 4)
    (1.0, 0.3333)
    """
    from scipy.stats import ks_2samp

    first, second = reference[~np.isnan(reference)], current[~np.isnan(current)]
    if len(first) == 0 or len(second) == 0:
        return 1.0
    return float(ks_2samp(first, second, method="exact" if min(len(first), len(second)) <= _EXACT else "asymp").pvalue)


def chi2_p_value(reference: IntArray, current: IntArray) -> float:
    """P value of the chi-squared test of homogeneity of two rows of counts; values seen fewer than ten times together are one.

    References
    ----------
    Pearson (1900), doi:10.1080/14786440009463897.

    Examples
    --------
    >>> round(chi2_p_value(np.array([50, 50]), np.array([50, 50])), 3), chi2_p_value(np.array([90, 10]), np.array([10, 90])) < 1e-10
    (1.0, True)
    """
    from scipy.stats import chi2_contingency

    rare = reference + current < _RARE
    table = np.array([[*counts[~rare], counts[rare].sum()] for counts in (reference, current)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():  # noqa: PLR2004 - one value alone cannot move
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)


def adjusted(p_values: npt.ArrayLike, how: Adjustment) -> FloatArray:
    """P values that may be compared with the false discovery rate allowed, shape (n_tests,).

    References
    ----------
    Benjamini, Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x. Benjamini, Yekutieli (2001), doi:10.1214/aos/1013699998.

    Examples
    --------
    >>> adjusted([0.01, 0.04, 0.5], Adjustment.BENJAMINI_HOCHBERG).round(3).tolist()
    [0.03, 0.06, 0.5]
    """
    from scipy.stats import false_discovery_control

    values = np.asarray(p_values, dtype=np.float64)
    return values if len(values) == 0 else np.asarray(false_discovery_control(values, method=how.value), dtype=np.float64)


_RARE = 10
_EXACT = 20
"""Most values of the smaller sample for which all orders are counted: some milliseconds beside 100,000 others."""
