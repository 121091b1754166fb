"""Time-ordered slices with a gap as long as the horizon between them.

A row belongs to a slice by its as_of alone, so a user seen in training may be seen again, later, in the test slice. That is how the model
is used: it scores people whose past it was trained on. What must not happen is that a *label* looks into a later slice, hence the gap; and
rows of one user are not independent, hence every interval is bootstrapped by user.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.errors import LeakError, OneClassError, TooLittleDataError
from training.frame import TrainingFrame

_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Share of the rows that no later slice or gap has taken; training gets what is left.

    Of the rows that remain, not of all: where a gap falls into a busy time and takes many rows, every earlier slice shrinks alike.
    """

    stop: float = 0.18
    calibration: float = 0.19
    test: float = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """The four slices, oldest first."""

    train: TrainingFrame  # fitted on to find the number of trees, and finally
    stop: TrainingFrame  # when to stop adding trees; the final trees are grown on it too
    calibration: TrainingFrame  # raw score to probability
    test: TrainingFrame  # measured on, once

    @property
    def fitted(self) -> TrainingFrame:
        """The rows that the final trees are grown on: train and stop."""
        return replace(self.train, rows=pd.concat([self.train.rows, self.stop.rows]))

    def named(self) -> dict[str, TrainingFrame]:
        """Slices by name, oldest first."""
        return {"train": self.train, "stop": self.stop, "calibration": self.calibration, "test": self.test}


MIN_ROWS = 100
"""Fewest rows of a slice; below that its figures mean nothing."""


def split_by_time(frame: TrainingFrame, shares: Shares | None = None, *, min_rows: int = MIN_ROWS) -> Slices:
    """Cut the frame into four slices whose label windows do not reach into the next one.

    The latest rows become the test slice; going back in time, each earlier slice ends at least one horizon before the next one begins.

    Raises
    ------
    TooLittleDataError
        If a slice would have fewer than ``min_rows`` rows.
    OneClassError
        If all rows of a slice have the same outcome.
    """
    shares = shares or Shares()
    as_of_us = frame.as_of_us
    horizon_us = frame.horizon // _US
    parts: list[npt.NDArray[np.int64]] = []
    end_us = np.iinfo(np.int64).max  # exclusive
    for share in (shares.test, shares.calibration, shares.stop):
        positions = _latest(as_of_us, end_us=end_us, share=share)
        parts.append(positions)
        end_us = int(as_of_us[positions].min()) - horizon_us + 1 if len(positions) else 0
    parts.append(np.flatnonzero(as_of_us < end_us))
    test, calibration, stop, train = (frame.at(positions) for positions in parts)
    slices = Slices(train=train, stop=stop, calibration=calibration, test=test)
    _check(slices, frame, min_rows)
    return slices


def require_gaps(slices: Slices) -> None:
    """Refuse slices in which a label window reaches into a later slice.

    Raises
    ------
    LeakError
        Naming the two slices and both instants.
    """
    frames = list(slices.named().items())
    for (name, earlier), (later_name, later) in itertools.pairwise(frames):
        known_us = int(earlier.as_of_us.max()) + earlier.horizon // _US
        begins_us = int(later.as_of_us.min())
        if known_us > begins_us:
            raise LeakError(
                f"the last label of slice {name} is known {(known_us - begins_us) * _US} after slice {later_name} begins,"
                " expected before; leave a gap of one horizon between slices"
            )


def _latest(as_of_us: npt.NDArray[np.int64], *, end_us: int, share: float) -> npt.NDArray[np.int64]:
    """Positions of about the latest ``share`` of the rows before ``end_us``; rows of one instant stay together."""
    before = np.sort(as_of_us[as_of_us < end_us])
    if len(before) == 0:
        return np.empty(0, dtype=np.int64)
    from_us = before[-max(1, round(share * len(before)))]
    return np.flatnonzero((as_of_us >= from_us) & (as_of_us < end_us))


def _check(slices: Slices, frame: TrainingFrame, min_rows: int) -> None:
    for name, part in slices.named().items():
        if len(part.rows) < min_rows:
            span = (int(frame.as_of_us.max()) - int(frame.as_of_us.min())) * _US if len(frame.rows) else timedelta(0)
            raise TooLittleDataError(
                f"slice {name} has {len(part.rows)} rows, expected at least {min_rows}: {len(frame.rows)} mature rows span {span.days}"
                f" days and three gaps of the horizon ({frame.horizon.days} days) are cut out;"
                " import a longer log, or declare a shorter horizon"
            )
        if part.outcomes.all() or not part.outcomes.any():
            outcome = "dropped out" if part.outcomes.all() else "stayed"
            raise OneClassError(
                f"all {len(part.rows)} rows of slice {name} {outcome}, expected both outcomes;"
                " check label.activity and label.horizon in product.yaml, or import a longer log"
            )
