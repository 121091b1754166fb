"""The BG/NBD model of repeat buying: the yardstick for customers who never say that they have left.

While alive, a customer buys as a Poisson process of rate lambda; after each purchase they leave with probability p. lambda is
gamma(r, alpha) and p beta(a, b) distributed over customers.

Fader, Hardie, Lee (2005), "Counting your customers" the easy way, doi:10.1287/mksc.1040.0098.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BgNbd:
    """The four parameters, time in weeks."""

    r: float
    alpha: float
    a: float
    b: float

    def p_alive(self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
        """P(not yet left at T | x repeat purchases, the last at t_x), 1 where there was none; times since the first purchase.

        >>> PUBLISHED.p_alive(np.array([0.0, 2.0]), np.array([0.0, 30.43]), np.array([38.86, 38.86])).round(4).tolist()
        [1.0, 0.7266]
        """
        odds = self.a / (self.b + np.maximum(x, 1) - 1) * ((self.alpha + T) / (self.alpha + t_x)) ** (self.r + x)
        return np.where(x > 0, 1 / (1 + odds), 1.0)

    def p_no_purchase(self, x: FloatArray, t_x: FloatArray, T: FloatArray, *, t: float) -> FloatArray:
        """P(no purchase in (T, T + t] | x, t_x, T): they have left, or are alive and wait longer than t.

        Given alive, lambda is gamma(r + x, alpha + T), so that waiting longer has probability ((alpha + T) / (alpha + T + t))^(r + x).

        >>> PUBLISHED.p_no_purchase(np.array([2.0]), np.array([30.43]), np.array([38.86]), t=39.0).round(4).tolist()
        [0.4454]
        """
        alive = self.p_alive(x, t_x, T)
        return 1 - alive + alive * ((self.alpha + T) / (self.alpha + T + t)) ** (self.r + x)


PUBLISHED = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
"""Fitted to a tenth of the CDNOW customers over the first 39 weeks: table 2 of the paper, reproduced by `lifetimes`."""
