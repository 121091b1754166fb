"""When it is time to train again: named reasons, each with its sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from training.drift.compare import LABEL, PREDICTION, Drift, names
from training.drift.psi import MAJOR


class Why(StrEnum):
    """Kinds of reasons."""

    DRIFT = "drift"  # users, predictions or outcomes moved
    CALENDAR = "calendar"  # the model is old
    ALARM = "alarm"  # the alert error is no longer held


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason to train again."""

    why: Why
    sentence: str


def reasons(drift: Drift | None, *, trained_at: datetime, now: datetime, retrain_every: timedelta | None, alarm: str) -> list[Reason]:
    """Every reason that holds; none: the model stays.

    Drift is a reason where predictions or outcomes moved at all, or a feature by a PSI of 0.2 or more.

    Parameters
    ----------
    drift
        None where nothing could be compared: then the others decide.
    retrain_every
        None: never for the calendar alone.
    alarm
        The sentence of an alarm since the model was registered; "" without one.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 1, tzinfo=UTC)
    >>> [each.why.value for each in reasons(None, trained_at=at, now=at + timedelta(days=40), retrain_every=timedelta(days=30), alarm="")]
    ['calendar']
    """
    found = []
    if drift is not None:
        grave = [each for each in drift.moved if each.psi >= MAJOR or each.column in {PREDICTION, LABEL}]
        if grave:
            found.append(Reason(why=Why.DRIFT, sentence=f"moved since training (PSI): {names(grave)}"))
    if retrain_every is not None and now - trained_at >= retrain_every:
        sentence = f"the champion is {(now - trained_at).days} days old, to be trained again every {retrain_every.days}"
        found.append(Reason(why=Why.CALENDAR, sentence=sentence))
    if alarm:
        found.append(Reason(why=Why.ALARM, sentence=f"the alert error was found broken: {alarm}"))
    return found
