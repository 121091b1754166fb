"""Whether the alert error still holds in operation; if not, an alarm and the thresholds that would hold it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.frame import AS_OF, OUTCOME, USER
from training.thresholds.alert_error import AlertError, AlertFigures, alert_figures
from training.thresholds.decisions import RISK, SEGMENT, THRESHOLD
from training.thresholds.errors import TooFewRowsError, UnattainableBoundError
from training.thresholds.rows import AlertRows, alert_rows
from training.thresholds.sequential import Watch, log_capital, watch
from training.thresholds.solve import Contract, Thresholds, solve

FloatArray = npt.NDArray[np.float64]

MOST_ROWS = 7
"""Decisions of one user that count, at most: the first of each day, within a horizon of the first of all."""

WHOLE = "everybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One monitor: everybody, or one segment."""

    name: str
    watch: Watch
    users: int
    broken: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """The alert error in operation."""

    contract: Contract
    watched: tuple[Watched, ...]  # everybody first
    figures: AlertFigures  # over all decisions with outcomes
    alarms: tuple[str, ...]  # one readable sentence each; empty: the bound is not shown to be broken
    proposal: Thresholds | None  # only with an alarm, and only where one can be solved
    no_proposal_because: str = ""


def monitor(decisions: pd.DataFrame, segments: Sequence[str], contract: Contract, *, horizon: pd.Timedelta) -> Monitored:
    """Watch the error user by user, for everybody and by segment; look as often as you like.

    A user counts once a horizon of their decisions has outcomes. Alarms are false with a chance of at most 1 - confidence over the whole
    time, all monitors together.

    Parameters
    ----------
    decisions
        As of `training.thresholds.decisions.with_outcomes`: user_id, as_of, risk, threshold, segment and dropped_out.
    segments
        Names to watch, beside everybody.

    Raises
    ------
    TooFewRowsError
        If fewer users than ``contract.least_users`` have an outcome.
    """
    n_users = decisions[USER].nunique()
    if n_users < contract.least_users:
        raise TooFewRowsError(
            f"{n_users} users with a decision have a known outcome, expected at least {contract.least_users};"
            " wait until more outcomes are known: a horizon after each decision"
        )
    alpha = (1 - contract.confidence) / (len(segments) + 1)
    parts = {WHOLE: decisions} | {name: decisions[decisions[SEGMENT] == name] for name in segments}
    watched = tuple(_watched(name, part, contract, alpha=alpha, horizon=horizon) for name, part in parts.items())
    alarms = tuple(_sentence(each, contract) for each in watched if each.broken)
    rows = _rows(decisions)
    figures = alert_figures(rows, (decisions[RISK] >= decisions[THRESHOLD]).to_numpy())
    proposal, why = _proposal(decisions, segments, contract) if alarms else (None, "")
    return Monitored(contract=contract, watched=watched, figures=figures, alarms=alarms, proposal=proposal, no_proposal_because=why)


def alarm_at(decisions: pd.DataFrame, contract: Contract, *, horizon: pd.Timedelta, alpha: float) -> int | None:
    """How many users it takes until the alarm for everybody; None: none is raised."""
    hits, rows = by_user(decisions, contract.error, horizon)
    crossed = np.flatnonzero(log_capital(hits, rows, bound=contract.bound, most_rows=MOST_ROWS) >= np.log(1 / alpha))
    return int(crossed[0]) + 1 if len(crossed) else None


def since_change(decisions: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Keep the decisions since the error most likely began to exceed the bound: the lowest point of the sum of hits - bound x rows.

    References
    ----------
    Page (1954), Continuous inspection schemes, doi:10.1093/biomet/41.1-2.100.
    """
    hit, counted = _hits(decisions, contract.error)
    path = np.cumsum(hit - contract.bound * counted)
    return decisions.iloc[int(np.argmin(path)) + 1 :] if path.min() < 0 else decisions


def _watched(name: str, part: pd.DataFrame, contract: Contract, *, alpha: float, horizon: pd.Timedelta) -> Watched:
    hits, rows = by_user(part, contract.error, horizon)
    seen = watch(hits, rows, bound=contract.bound, alpha=alpha, most_rows=MOST_ROWS)
    return Watched(name=name, watch=seen, users=len(rows), broken=seen.broken_at is not None)


def by_user(decisions: pd.DataFrame, error: AlertError, horizon: pd.Timedelta) -> tuple[FloatArray, FloatArray]:
    """Hits and rows of each user whose decisions of a horizon all have outcomes, in the order of their first decision.

    So what was seen at an earlier look is the beginning of what is seen at a later one, and no user's numbers change in between: bounds
    that hold at every look ask for both.
    """
    if len(decisions) == 0:
        return np.empty(0), np.empty(0)
    ordered = decisions.sort_values(AS_OF, kind="stable")
    first = ordered.groupby(USER)[AS_OF].transform("min")
    complete = first + horizon <= ordered[AS_OF].iloc[-1]
    ordered = ordered[complete & (ordered[AS_OF] < first + horizon)]
    ordered = ordered[ordered.groupby(USER).cumcount() < MOST_ROWS]
    hit, counted = _hits(ordered, error)
    table = pd.DataFrame({USER: ordered[USER].to_numpy(), "hit": hit, "counted": counted, AS_OF: ordered[AS_OF].to_numpy()})
    users = table.groupby(USER).agg(hit=("hit", "sum"), counted=("counted", "sum"), first=(AS_OF, "min"))
    users = users[users["counted"] > 0].sort_values("first", kind="stable")
    return users["hit"].to_numpy(dtype=np.float64), users["counted"].to_numpy(dtype=np.float64)


def _hits(decisions: pd.DataFrame, error: AlertError) -> tuple[FloatArray, FloatArray]:
    """Of each decision: 1 where it is a false alert, and 1 where it counts in what the error is a share of."""
    alerted = (decisions[RISK] >= decisions[THRESHOLD]).to_numpy()
    stayed = ~decisions[OUTCOME].to_numpy(dtype=bool)
    counted = stayed if error is AlertError.OF_STAYERS else alerted
    return (alerted & stayed).astype(np.float64), counted.astype(np.float64)


def _rows(decisions: pd.DataFrame) -> AlertRows:
    risk = decisions[RISK].to_numpy(dtype=np.float64)
    return alert_rows(decisions[USER].to_numpy(), decisions[SEGMENT].to_numpy(), risk, decisions[OUTCOME].to_numpy(dtype=bool))


def _sentence(each: Watched, contract: Contract) -> str:
    shown = "of those who stayed were alerted" if contract.error is AlertError.OF_STAYERS else "of the alerts were of users who stayed"
    at = (each.watch.broken_at or 0) + 1
    return (
        f"{each.name}: {each.watch.estimate[-1]:.1%} {shown} (at least {each.watch.low[-1]:.1%} whenever one looks), promised at most"
        f" {contract.bound:.0%}; shown by user {at} of {each.users}"
    )


def _proposal(decisions: pd.DataFrame, segments: Sequence[str], contract: Contract) -> tuple[Thresholds | None, str]:
    """Solve anew on what came since the change; on everything where that is too little."""
    why = ""
    for part in (since_change(decisions.sort_values(AS_OF, kind="stable"), contract), decisions):
        try:
            return solve(_rows(part), segments, contract), ""
        except (TooFewRowsError, UnattainableBoundError) as exc:
            why = str(exc)
    return None, why
