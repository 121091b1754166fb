"""Levels of cohorts: how much higher or lower the log-odds of everyone in one cohort are than the model says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortLevels:
    """What each cohort's own mature outcomes say of its base rate; who is in no known cohort is left as the model has them."""

    attribute: str  # of the profile, whose value names the cohort
    shifts: Mapping[str, float]  # log-odds by cohort
    between_variance: float  # of true levels between cohorts, by which shifts were shrunk

    def of(self, profiles: Sequence[Mapping[str, object]]) -> npt.NDArray[np.float64]:
        """Log-odds to add for each profile, shape (n_users,).

        Examples
        --------
        >>> CohortLevels(attribute="course", shifts={"algebra": -0.2}, between_variance=0.04).of([{"course": "algebra"}, {}]).tolist()
        [-0.2, 0.0]
        """
        cohorts = (profile.get(self.attribute) for profile in profiles)
        return np.array([0.0 if cohort is None else self.shifts.get(str(cohort), 0.0) for cohort in cohorts], dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Content of ``levels.json``."""
        return {"attribute": self.attribute, "shifts": dict(self.shifts), "between_variance": self.between_variance}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> CohortLevels:
        """Invert `to_json`.

        Raises
        ------
        ModelError
            If there is no attribute, or a shift or the variance is no finite number.
        """
        attribute, shifts = content.get("attribute"), content.get("shifts")
        if not isinstance(attribute, str) or not isinstance(shifts, Mapping):
            raise ModelError(f"levels of cohorts are {dict(content)!r}, expected an attribute and its shifts; train the model again")
        return cls(
            attribute=attribute,
            shifts={str(cohort): _finite(shift, f"level of cohort {cohort}") for cohort, shift in shifts.items()},
            between_variance=_finite(content.get("between_variance"), "variance of levels between cohorts"),
        )


def _finite(value: object, what: str) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ModelError(f"{what} is {value!r}, expected a finite number; train the model again")
    return float(value)
