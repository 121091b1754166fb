"""IPS, SNIPS and DR with bootstrap intervals; differences of two policies are paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.evaluate import Interval
from training.ope.bootstrap import GroupDraws, interval_of
from training.ope.log import DecisionLog, OpeError, check_support, probabilities

FloatArray = npt.NDArray[np.float64]

N_DRAWS = 1000
ESTIMATORS = ("ips", "snips", "dr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Importance weights of the logged actions, and how much they leave of the sample.

    References
    ----------
    Kish (1965), Survey Sampling, section 11.7, for the effective sample size (sum w)^2 / sum w^2.
    """

    values: FloatArray  # pi_e(a | x) / pi_b(a | x), after clipping, shape (n_rows,)
    clipped_rows: int

    @property
    def effective_rows(self) -> float:
        """Rows of an unweighted sample that would be as informative; from 0 to n_rows."""
        squares = float((self.values**2).sum())
        return float(self.values.sum()) ** 2 / squares if squares > 0 else 0.0

    @property
    def mean(self) -> float:
        """About 1 where propensities are right and nothing is clipped."""
        return float(self.values.mean())

    @property
    def largest(self) -> float:
        """The greatest weight of one row."""
        return float(self.values.max())


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Value of a policy, mean reward per decision, with a 95 % interval."""

    estimator: str
    interval: Interval
    weights: Weights
    n_rows: int

    @property
    def value(self) -> float:
        """The point estimate."""
        return self.interval.value

    def __str__(self) -> str:
        return f"{self.estimator} {self.interval} ({self.weights.effective_rows:.0f} effective of {self.n_rows} rows)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """Policies on one log, all on the same bootstrap samples.

    Parameters
    ----------
    clip
        Weights above it are cut to it: less variance, and a bias towards too small a value of IPS. None: no clipping. Never silent: each
        estimate counts the rows.
    rewards
        E[reward | row, action] of shape (n_rows, n_actions), each row by a model that did not see it
        (`rewards.cross_fitted_rewards`); only DR needs it.

    Raises
    ------
    OpeError
        If ``clip`` is not positive or ``rewards`` is not of that shape or not finite.

    Examples
    --------
    >>> log = DecisionLog(action=[0, 1, 1, 0], reward=[0.0, 1.0, 1.0, 1.0], propensity=[0.5] * 4, n_actions=2)
    >>> always_1 = np.tile([0.0, 1.0], (4, 1))
    >>> Evaluator(log=log).ips(always_1).value
    1.0
    """

    log: DecisionLog
    clip: float | None = None
    rewards: FloatArray | None = None
    n_draws: int = N_DRAWS
    seed: int = 0
    _draws: GroupDraws = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.clip is not None and not self.clip > 0:
            raise OpeError(f"clip is {self.clip}, expected a weight above 0, or None for no clipping")
        self._check_rewards()
        groups = np.arange(self.log.n_rows) if self.log.groups is None else self.log.groups
        object.__setattr__(self, "_draws", GroupDraws(groups, n_draws=self.n_draws, seed=self.seed))

    def ips(self, policy: npt.ArrayLike) -> Estimate:
        """Inverse propensity scoring: mean of w r. Unbiased without clipping.

        References
        ----------
        Horvitz, Thompson (1952), doi:10.1080/01621459.1952.10483446.
        """
        return self.estimate(policy, "ips")

    def snips(self, policy: npt.ArrayLike) -> Estimate:
        """Self-normalised IPS: sum of w r over sum of w. Within the rewards' range; its bias vanishes as rows grow.

        References
        ----------
        Hesterberg (1995), doi:10.1080/00401706.1995.10484303; Swaminathan, Joachims (2015), NeurIPS 28.
        """
        return self.estimate(policy, "snips")

    def dr(self, policy: npt.ArrayLike) -> Estimate:
        """Doubly robust: sum_a pi_e(a | x) q(x, a) + w (r - q(x, a_logged)), averaged. Unbiased for known propensities, whatever q is.

        References
        ----------
        Dudik, Erhan, Langford, Li (2014), doi:10.1214/14-STS500.
        """
        return self.estimate(policy, "dr")

    def estimate(self, policy: npt.ArrayLike, estimator: str) -> Estimate:
        """Value of a policy by the estimator named: ips, snips or dr.

        Raises
        ------
        OpeError
            If the estimator is unknown, the policy is not one, or the log does not support it (rows are named).
        """
        weights = self.weights(policy)
        (values,) = self._draws.ratios(*_columns([self._parts(policy, estimator, weights)]))
        return Estimate(estimator=estimator.upper(), interval=interval_of(values), weights=weights, n_rows=self.log.n_rows)

    def difference(self, policy: npt.ArrayLike, reference: npt.ArrayLike, *, estimator: str = "dr") -> Interval:
        """Value of ``policy`` minus that of ``reference``, paired: both on the same samples."""
        return self.differences([(policy, reference)], estimator=estimator)[0]

    def differences(self, pairs: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]], *, estimator: str = "dr") -> list[Interval]:
        """`difference` of many pairs in one pass over the samples.

        Raises
        ------
        OpeError
            As for `estimate`.
        """
        policies = {id(policy): policy for pair in pairs for policy in pair}  # a reference that many are compared with is drawn once
        parts = [self._parts(policy, estimator, self.weights(policy)) for policy in policies.values()]
        values = dict(zip(policies, self._draws.ratios(*_columns(parts)), strict=True))
        return [interval_of(values[id(policy)] - values[id(reference)]) for policy, reference in pairs]

    def weights(self, policy: npt.ArrayLike) -> Weights:
        """Weights of the logged actions, once the policy is known to be supported."""
        check_support(policy, self.log)
        raw = probabilities(policy, self.log)[np.arange(self.log.n_rows), self.log.action] / self.log.propensity
        if self.clip is None:
            return Weights(values=raw, clipped_rows=0)
        return Weights(values=np.minimum(raw, self.clip), clipped_rows=int((raw > self.clip).sum()))

    def _parts(self, policy: npt.ArrayLike, estimator: str, weights: Weights) -> tuple[FloatArray, FloatArray]:
        """What is summed and what the sum is divided by, each of shape (n_rows,)."""
        if estimator not in ESTIMATORS:
            raise OpeError(f"estimator {estimator!r}, expected one of {list(ESTIMATORS)}")
        if estimator == "dr":
            return self._dr_scores(policy, weights), np.ones(self.log.n_rows)
        return weights.values * self.log.reward, weights.values if estimator == "snips" else np.ones(self.log.n_rows)

    def _dr_scores(self, policy: npt.ArrayLike, weights: Weights) -> FloatArray:
        if self.rewards is None:
            raise OpeError("DR needs `rewards`, the expected reward of each row and action; see training.ope.rewards.cross_fitted_rewards")
        logged = self.rewards[np.arange(self.log.n_rows), self.log.action]
        expected = (probabilities(policy, self.log) * self.rewards).sum(axis=1)
        return np.asarray(expected + weights.values * (self.log.reward - logged), dtype=np.float64)

    def _check_rewards(self) -> None:
        if self.rewards is None:
            return
        given = np.asarray(self.rewards, dtype=np.float64)
        if given.shape != (self.log.n_rows, self.log.n_actions) or not np.isfinite(given).all():
            raise OpeError(f"rewards: shape {given.shape}, expected finite numbers of shape {(self.log.n_rows, self.log.n_actions)}")
        object.__setattr__(self, "rewards", given)


def _columns(parts: Sequence[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    above, below = np.column_stack([above for above, _ in parts]), np.column_stack([below for _, below in parts])
    return above, below[:, :1] if (below == 1).all() else below
