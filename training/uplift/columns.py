"""Covariates as numbers: amounts as they are, categories as codes learned once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.errors import TrainingError

FloatArray = npt.NDArray[np.float64]


class CovariateError(TrainingError):
    """A covariate is missing, or is neither a number nor a category."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How the covariates of an experiment become a matrix; learned on the rows that are fitted on."""

    names: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]  # of the columns that are not numbers, in the order of their codes

    @property
    def categorical(self) -> tuple[int, ...]:
        """Places of the columns that hold codes."""
        return tuple(i for i, name in enumerate(self.names) if name in self.categories)

    def encode(self, covariates: pd.DataFrame) -> FloatArray:
        """Matrix of shape (n_rows, n_columns); missing values and categories never seen are NaN.

        Raises
        ------
        CovariateError
            If a column is missing, or was a number and is none now.

        Examples
        --------
        >>> columns = learn_columns(pd.DataFrame({"age_years": [30.0, 41.0], "city": ["Rome", "Oslo"]}))
        >>> columns.encode(pd.DataFrame({"age_years": [None, 5], "city": ["Oslo", "Bern"]})).tolist()
        [[nan, 0.0], [5.0, nan]]
        """
        missing = [name for name in self.names if name not in covariates]
        if missing:
            raise CovariateError(f"covariates {missing} are missing; got {list(covariates.columns)}, expected {list(self.names)}")
        return np.column_stack([self._column(covariates[name]) for name in self.names]).astype(np.float64)

    def _column(self, column: pd.Series) -> FloatArray:
        name = str(column.name)
        if name not in self.categories:
            return _numbers(column)
        codes = {value: float(code) for code, value in enumerate(self.categories[name])}
        return np.array([codes.get(str(value), np.nan) for value in column], dtype=np.float64)


def learn_columns(covariates: pd.DataFrame) -> Columns:
    """Take numbers and booleans as amounts, everything else as a category.

    Raises
    ------
    CovariateError
        If there is no column, or a number is infinite.
    """
    if covariates.shape[1] == 0:
        raise CovariateError("no covariates: expected at least one column that was known before the action was drawn")
    categories = {
        str(name): tuple(sorted({str(value) for value in column.dropna()}))
        for name, column in covariates.items()
        if not pd.api.types.is_numeric_dtype(column)
    }
    columns = Columns(names=tuple(str(name) for name in covariates.columns), categories=categories)
    columns.encode(covariates)
    return columns


def _numbers(column: pd.Series) -> FloatArray:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if (np.isnan(numbers) & column.notna().to_numpy()).any() or np.isinf(numbers).any():
        raise CovariateError(
            f"covariate {column.name!r} was a column of finite numbers and holds something else now; expected finite numbers"
        )
    return numbers
