"""When the cause of a risk may be named: how far it must lead, so that a model of other users would have named the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.errors import ModelError

NEVER = 1_000.0
"""A lead in log-odds that no cause has: no cause is stable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseStability:
    """Part of a bundle; bundles without one name the top cause of everyone. Measured in ``training.cause_stability``."""

    min_lead: float  # log-odds by which the top actionable cause must exceed the next, or 0; `NEVER`: no cause is ever named
    least_agreement: float  # what min_lead was solved for, share of refits, with 95 % confidence
    agreement: float  # of refits with the top cause, over all rows that have one
    agreement_of_stable: float  # the same over the rows that lead by min_lead, on users that it was not solved on; NaN without any
    stable_share: float  # of rows with a cause, that lead by min_lead
    agreement_by_cause: Mapping[str, float]
    n_refits: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN as null."""
        return asdict(self) | {"agreement_of_stable": _or_none(self.agreement_of_stable), "agreement": _or_none(self.agreement)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> CauseStability:
        """The inverse of `to_json`.

        Raises
        ------
        ModelError
            If it is not what `to_json` wrote, or min_lead is negative.
        """
        try:
            known = {name: content[name] for name in cls.__dataclass_fields__}
            found = cls(**known | {name: _or_nan(known[name]) for name in ("agreement", "agreement_of_stable")})
            lead = float(found.min_lead)
        except (KeyError, TypeError, ValueError) as exc:
            raise ModelError(f"cause_stability.json cannot be read ({exc!r}); expected what training wrote; train again") from exc
        if not lead >= 0:
            raise ModelError(f"cause_stability.json: min_lead is {lead}, expected a number >= 0; train again")
        return found


def _or_none(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124 - NaN is not itself


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
