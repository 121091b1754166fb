"""The lowest thresholds at which the alert error keeps within its bound, with confidence, for the whole and for each segment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from training.thresholds.alert_error import AlertError, AlertFigures, Evidence, alert_figures, evidence, upper_bound
from training.thresholds.errors import BadOptionError, TooFewRowsError, UnattainableBoundError
from training.thresholds.pooling import pooled, prior_strength
from training.thresholds.rows import AlertRows

FloatArray = npt.NDArray[np.float64]

_FINE = np.round(np.arange(1.0, 0.0, -0.005), 3)  # candidates from the strictest down: an error of stayers only grows on the way
_COARSE = np.round(np.arange(1.0, 0.0, -0.05), 3)  # an error of alerts may rise and fall: each candidate is a test of its own


class Basis(StrEnum):
    """What a segment's threshold rests on."""

    OWN = "own data"  # the bound is shown on the segment's own users
    POOLED = "own and others' data"  # shown only together with the other segments: true if segments differ as they are seen to
    NOT_ENOUGH = "not enough data"  # nothing is shown: the strictest threshold of all the others


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What is promised.

    With ``confidence``, for the whole and for all segments together, the chosen error on users like these is at most ``bound``.
    """

    error: AlertError = AlertError.OF_STAYERS
    bound: float = 0.15  # S0.13
    confidence: float = 0.95
    least_users: int = 20  # with fewer in what the error is a share of, a segment has not enough data
    own_from_users: int = 150  # with so many the bound must be shown on the segment's own data

    def __post_init__(self) -> None:
        for name, value in (("bound", self.bound), ("confidence", self.confidence)):
            if not 0.0 < value < 1.0:
                raise BadOptionError(f"{name} is {value}, expected a share between 0 and 1; 15 % is written 0.15")
        if self.least_users < 1:
            raise BadOptionError(f"least_users is {self.least_users}, expected at least 1; 20 is the default")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentThreshold:
    """One segment's threshold and how it was found."""

    segment: str
    threshold: float
    basis: Basis
    upper: float  # upper confidence bound of the chosen error at the threshold, pooled where the basis is; 1 if not enough data
    own_upper: float  # the same on the segment's own data alone
    own_weight: float  # of the segment's own data beside the others', 0 to 1
    figures: AlertFigures  # on the rows it was solved on


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What to write into the policy, and what is known of it."""

    contract: Contract
    risk_threshold: float  # of users in no segment; the bound holds if it is everybody's, too
    whole: AlertFigures  # everybody at risk_threshold
    whole_upper: float
    segments: tuple[SegmentThreshold, ...]
    applied: AlertFigures  # everybody at the threshold of their segment

    @property
    def segment_thresholds(self) -> dict[str, float]:
        """As in policy.yaml."""
        return {each.segment: each.threshold for each in self.segments}

    @property
    def undecided(self) -> list[str]:
        """Segments without enough data."""
        return [each.segment for each in self.segments if each.basis is Basis.NOT_ENOUGH]


def solve(rows: AlertRows, segments: Sequence[str], contract: Contract | None = None) -> Thresholds:
    """Solve the thresholds of the whole and of every segment.

    From the strictest candidate down, a threshold is taken as long as the upper confidence bound of the error keeps within ``bound``; the
    first that does not ends the search. As FP/(FP+TN) only grows on the way, that tests one hypothesis at a time and costs no confidence.
    FP/alerts does not, so there each of twenty candidates is tested at a twentieth of the level. The level is divided by the number of
    segments plus one, so that all bounds hold together.

    Parameters
    ----------
    rows
        Scored by a model that has not seen them.
    segments
        Names of all segments, in declared order; each gets a threshold.

    Raises
    ------
    TooFewRowsError
        If the whole has too few users for a bound.
    UnattainableBoundError
        If no threshold keeps the whole within the bound.

    References
    ----------
    Bates, Angelopoulos, Lei, Malik, Jordan (2021), Distribution-free, risk-controlling prediction sets, doi:10.1145/3478535.
    Angelopoulos, Bates, Candes, Jordan, Lei (2025), Learn then test, doi:10.1214/24-AOAS1998.

    Examples
    --------
    >>> from training.thresholds.rows import alert_rows
    >>> rng = np.random.default_rng(0)
    >>> risk = rng.uniform(size=2000)
    >>> solved = solve(alert_rows(range(2000), ["free"] * 2000, risk, rng.uniform(size=2000) < risk), ["free"])
    >>> solved.risk_threshold, solved.segments[0].basis.value, bool(solved.whole_upper <= 0.15)
    (0.635, 'own data', True)
    """
    contract = contract or Contract()
    miss = _level(contract, len(segments))
    _require_users(rows, contract)
    found = _descend(_candidates(contract), lambda t: upper_bound(_seen(rows, t, contract.error), miss=miss), contract)
    if found is None:
        raise UnattainableBoundError(
            f"no threshold keeps {contract.error.value} at or below {contract.bound:.0%} with confidence {contract.confidence:.0%} on"
            f" {rows.n_users} users; collect more outcomes, allow a higher bound, or ask for less confidence"
        )
    threshold, whole_upper = found
    strength = prior_strength([_seen(rows.of(name), threshold, contract.error) for name in segments])
    solved = [_segment(rows, name, contract, miss=miss, strength=strength) for name in segments]
    strictest = max([threshold, *(each.threshold for each in solved if each is not None)])
    complete = tuple(each or _not_enough(rows, name, strictest) for name, each in zip(segments, solved, strict=True))
    return Thresholds(
        contract=contract,
        risk_threshold=threshold,
        whole=alert_figures(rows, rows.risk >= threshold),
        whole_upper=whole_upper,
        segments=complete,
        applied=alert_figures(rows, alerted_by(rows, threshold, {each.segment: each.threshold for each in complete})),
    )


def alerted_by(rows: AlertRows, risk_threshold: float, segment_thresholds: Mapping[str, float]) -> npt.NDArray[np.bool_]:
    """Whose risk is at or above the threshold of their segment, as `serving.decision.triggers` compares it.

    Examples
    --------
    >>> from training.thresholds.rows import alert_rows
    >>> rows = alert_rows([0, 1], ["free", None], np.array([0.5, 0.5]), np.array([True, True]))
    >>> alerted_by(rows, 0.4, {"free": 0.6}).tolist()
    [False, True]
    """
    thresholds = np.full(len(rows.risk), risk_threshold)
    for name, threshold in segment_thresholds.items():
        thresholds[rows.segment == name] = threshold
    alerted: npt.NDArray[np.bool_] = rows.risk >= thresholds
    return alerted


def _level(contract: Contract, n_segments: int) -> float:
    miss = (1 - contract.confidence) / (n_segments + 1)
    return miss if contract.error is AlertError.OF_STAYERS else miss / len(_COARSE)


def _candidates(contract: Contract) -> FloatArray:
    return _FINE if contract.error is AlertError.OF_STAYERS else _COARSE


def _require_users(rows: AlertRows, contract: Contract) -> None:
    stayers = rows.at(~rows.dropped_out).n_users
    if stayers < contract.least_users:
        raise TooFewRowsError(
            f"{stayers} users with a known outcome stayed, expected at least {contract.least_users}:"
            " an alert error is a share of those; import a longer log, or wait until more outcomes are known"
        )


def _seen(rows: AlertRows, threshold: float, error: AlertError) -> Evidence:
    alerted, stayed = rows.risk >= threshold, ~rows.dropped_out
    if error is AlertError.OF_STAYERS:
        return evidence(alerted[stayed], rows.user[stayed])
    return evidence(stayed[alerted], rows.user[alerted])


def _error(rows: AlertRows, threshold: float, error: AlertError) -> float:
    """The plain share; 1 where it is a share of nothing."""
    alerted, stayed = rows.risk >= threshold, ~rows.dropped_out
    of = stayed if error is AlertError.OF_STAYERS else alerted
    return float((alerted & stayed).sum() / of.sum()) if of.any() else 1.0


def _descend(candidates: FloatArray, upper: Callable[[float], float], contract: Contract) -> tuple[float, float] | None:
    """The last candidate whose upper bound keeps within the bound, and that upper bound."""
    best = None
    for threshold in candidates.tolist():
        at_most = upper(threshold)
        if at_most <= contract.bound:
            best = (threshold, at_most)
        elif contract.error is AlertError.OF_STAYERS:
            break
    return best


def _segment(rows: AlertRows, name: str, contract: Contract, *, miss: float, strength: float) -> SegmentThreshold | None:
    """Solve one segment; None without enough data."""
    own, others = rows.of(name), rows.at(rows.segment != name)
    stayers = own.at(~own.dropped_out).n_users
    if stayers < contract.least_users:
        return None

    def upper(threshold: float) -> float:
        seen = _seen(own, threshold, contract.error)
        at_most = upper_bound(pooled(seen, _error(others, threshold, contract.error), strength), miss=miss)
        return max(at_most, upper_bound(seen, miss=miss)) if stayers >= contract.own_from_users else at_most

    found = _descend(_candidates(contract), upper, contract)
    if found is None:
        return None
    threshold, at_most = found
    seen = _seen(own, threshold, contract.error)
    own_upper = upper_bound(seen, miss=miss)
    return SegmentThreshold(
        segment=name,
        threshold=threshold,
        basis=Basis.OWN if own_upper <= contract.bound else Basis.POOLED,
        upper=at_most,
        own_upper=own_upper,
        own_weight=seen.n / (seen.n + strength),
        figures=alert_figures(own, own.risk >= threshold),
    )


def _not_enough(rows: AlertRows, name: str, threshold: float) -> SegmentThreshold:
    own = rows.of(name)
    return SegmentThreshold(
        segment=name,
        threshold=threshold,
        basis=Basis.NOT_ENOUGH,
        upper=1.0,
        own_upper=1.0,
        own_weight=0.0,
        figures=alert_figures(own, own.risk >= threshold),
    )
