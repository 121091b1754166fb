"""Whom a model would alert: its thresholds on rows that it has not seen, or why none can be promised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.frame import TrainingFrame
from training.thresholds.errors import TooFewRowsError, UnattainableBoundError
from training.thresholds.rows import rows_of_frame, segments_are_visible
from training.thresholds.solve import Contract, Thresholds, solve

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Solved thresholds; without them, the sentence that says why."""

    contract: Contract
    solved: Thresholds | None
    because: str = ""  # why nothing was solved


def solve_frame(frame: TrainingFrame, risk: FloatArray, contract: Contract | None = None) -> Thresholds:
    """Solve the thresholds of everybody and of each primary segment that training can see.

    Parameters
    ----------
    risk
        Of each row, shape (n_rows,), by a model that has not seen it.

    Raises
    ------
    TooFewRowsError, UnattainableBoundError
        As `training.thresholds.solve.solve`.
    """
    product = frame.product
    names = [segment.name for segment in product.segments] if segments_are_visible(product) else []
    return solve(rows_of_frame(frame, risk), names, contract)


def alerts_on(frame: TrainingFrame, risk: FloatArray, contract: Contract | None = None) -> Alerts:
    """As `solve_frame`; too few rows, or a bound that no threshold keeps, are an answer and no error."""
    contract = contract or Contract()
    try:
        return Alerts(contract=contract, solved=solve_frame(frame, risk, contract))
    except (TooFewRowsError, UnattainableBoundError) as exc:
        return Alerts(contract=contract, solved=None, because=str(exc))
