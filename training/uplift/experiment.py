"""A randomised experiment with several arms, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.errors import TrainingError
from training.ope.log import DecisionLog
from training.ope.trees import is_binary

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MIN_ROWS_PER_ARM = 100
_MOST_ERRORS, _ROUNDING = 5, 0.02


class ExperimentError(TrainingError):
    """A table is not a randomised experiment that effects could be learned from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Rows of a randomised experiment. The outcome is to be raised: higher is better.

    Parameters
    ----------
    covariates
        What was known before the arm was drawn, shape (n_rows, n_columns); missing values stay missing.
    arms
        Names; the first is the control, doing nothing.
    arm
        Index into ``arms`` of each row, shape (n_rows,).
    outcome
        Shape (n_rows,): 0/1, or finite numbers.
    propensity
        P(the row's own arm), in (0, 1], shape (n_rows,): recorded or known by design. Arms may have unequal ones, and so may rows.
    """

    covariates: pd.DataFrame
    arms: tuple[str, ...]
    arm: IntArray
    outcome: FloatArray
    propensity: FloatArray

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.arm)

    @property
    def treatments(self) -> tuple[str, ...]:
        """The arms that do something."""
        return self.arms[1:]

    @property
    def binary(self) -> bool:
        """Whether every outcome is 0 or 1."""
        return is_binary(self.outcome)

    def take(self, rows: npt.NDArray[np.bool_] | IntArray) -> Experiment:
        """Only these rows, by mask or by place."""
        return Experiment(
            covariates=self.covariates.loc[rows] if rows.dtype == np.bool_ else self.covariates.iloc[rows],
            arms=self.arms,
            arm=self.arm[rows],
            outcome=self.outcome[rows],
            propensity=self.propensity[rows],
        )

    def log(self) -> DecisionLog:
        """The experiment as logged decisions, to evaluate policies on; actions are the arms in their order."""
        return DecisionLog(action=self.arm, reward=self.outcome, propensity=self.propensity, n_actions=len(self.arms))


def experiment_of(
    frame: pd.DataFrame, *, outcome: str, arm: str, control: str, propensity: str, covariates: Sequence[str] = ()
) -> Experiment:
    """Take an experiment from a table, by the names of its columns.

    Parameters
    ----------
    control
        Value of the ``arm`` column that means nothing was done.
    propensity
        Column with P(the row's own arm).
    covariates
        Empty: every other column.

    Raises
    ------
    ExperimentError
        If a column is missing, there is one arm only or no control, an outcome is no finite number, a propensity is missing or not in
        (0, 1], an arm has fewer than 100 rows, or the propensities contradict how often the arms were drawn.

    Examples
    --------
    >>> rows = pd.DataFrame({"sent": ["no", "mail"] * 100, "p": 0.5, "age_days": range(200), "came": [0, 1] * 100})
    >>> experiment_of(rows, outcome="came", arm="sent", control="no", propensity="p").treatments
    ('mail',)
    """
    roles = (outcome, arm, propensity)
    names = list(covariates) or [str(name) for name in frame.columns if name not in roles]
    _check_columns(frame, roles, names)
    arms = _arms(frame[arm], control)
    _check_sizes(frame[arm].astype(str), arms)
    codes = {name: code for code, name in enumerate(arms)}
    found = Experiment(
        covariates=frame[names].reset_index(drop=True),
        arms=arms,
        arm=np.array([codes[str(value)] for value in frame[arm]], dtype=np.int64),
        outcome=_numbers(frame[outcome], "outcome", "0, 1 or another finite number; leave out rows whose outcome is not known yet"),
        propensity=_propensities(frame[propensity]),
    )
    _check_design(found, propensity)
    return found


def _check_columns(frame: pd.DataFrame, roles: Sequence[str], covariates: Sequence[str]) -> None:
    missing = [name for name in (*roles, *covariates) if name not in frame.columns]
    if missing:
        hint = "; the propensity of each row's arm is needed, it is never estimated" if roles[-1] in missing else ""
        raise ExperimentError(f"columns {missing} are missing; the table has {list(frame.columns)}{hint}")
    both = sorted(set(roles) & set(covariates))
    if both:
        raise ExperimentError(
            f"columns {both} are both a covariate and outcome, arm or propensity; a covariate is known before the arm is drawn"
        )
    if not covariates:
        raise ExperimentError(f"no covariates: the table has only {list(roles)}; expected columns that were known before the arm was drawn")


def _arms(column: pd.Series, control: str) -> tuple[str, ...]:
    if column.isna().any():
        rows = np.flatnonzero(column.isna().to_numpy())[:5].tolist()
        raise ExperimentError(f"arm column {column.name!r} is empty in rows {rows}, ...; expected the name of an arm in every row")
    found = sorted({str(value) for value in column})
    if control not in found:
        raise ExperimentError(
            f"no row has the control {control!r}; arms in column {column.name!r} are {found}; name the arm that did nothing"
        )
    if len(found) == 1:
        raise ExperimentError(f"one arm only ({found[0]!r}) in column {column.name!r}, expected the control and at least one treatment")
    return (control, *(name for name in found if name != control))


def _check_sizes(values: pd.Series, arms: Sequence[str]) -> None:
    rows = values.value_counts()
    few = {arm: int(rows[arm]) for arm in arms if rows[arm] < MIN_ROWS_PER_ARM}
    if few:
        raise ExperimentError(
            f"too few rows in arms {few}, expected at least {MIN_ROWS_PER_ARM} in each; wait for more, or leave an arm out"
        )


def _propensities(column: pd.Series) -> FloatArray:
    values = _numbers(column, "propensity", "a number in (0, 1] in every row")
    wrong = np.flatnonzero((values <= 0) | (values > 1))
    if len(wrong):
        raise ExperimentError(
            f"propensity column {column.name!r}: {len(wrong)} rows are not in (0, 1], the first {wrong[:5].tolist()} with"
            f" {values[wrong[:5]].tolist()}; expected P(the row's own arm), as it was when the arm was drawn"
        )
    return values


def _check_design(experiment: Experiment, column: str) -> None:
    """Rows of an arm, weighted by 1 / propensity, stand for all rows: what is far from that was not drawn so."""
    for code, arm in enumerate(experiment.arms):
        weights = 1 / experiment.propensity[experiment.arm == code]
        stands_for = float(weights.sum()) / experiment.n_rows
        error = float(np.sqrt((weights * (weights - 1)).sum())) / experiment.n_rows
        if abs(stands_for - 1) > _MOST_ERRORS * error + _ROUNDING:
            raise ExperimentError(
                f"propensity column {column!r}: rows of arm {arm!r}, weighted by 1 / propensity, stand for {stands_for:.2f} times the rows"
                f" there are, expected 1 within {_MOST_ERRORS * error + _ROUNDING:.2f}; give P(the row's own arm), for controls too"
            )


def _numbers(column: pd.Series, role: str, expected: str) -> FloatArray:
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        got = [str(value) for value in column.iloc[wrong[:3]]]
        raise ExperimentError(
            f"{role} column {column.name!r}: {len(wrong)} rows (first {wrong[:5].tolist()}) hold {got}; expected {expected}"
        )
    return values
