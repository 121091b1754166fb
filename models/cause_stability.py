"""When the cause of a risk may be named: how far it must lead, so that a model of other users would have named the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from models.errors import ModelError

NEVER = 1_000.0
"""A lead in log-odds that no cause has, and a number that JSON has: whoever needs it is never named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseStability:
    """Part of a bundle; bundles without one name the top cause of everyone. Measured in ``training.cause_stability``."""

    min_lead: float  # log-odds by which the top actionable cause must exceed the next, or 0, all causes together; `NEVER`: none is named
    least_agreement: float  # what the leads were solved for, share of refits, with 95 % confidence
    agreement: float  # of refits with the top cause, over all rows that have one
    agreement_of_stable: float  # the same over the rows that lead enough, on users that the leads were not solved on; NaN without any
    stable_share: float  # of rows with a cause, that lead enough
    agreement_by_cause: Mapping[str, float]
    n_refits: int
    min_lead_by_cause: Mapping[str, float] = field(default_factory=dict)  # where the cause is the top one; empty in older bundles
    agreement_of_stable_by_cause: Mapping[str, float] = field(default_factory=dict)  # as agreement_of_stable; causes that are named
    stable_share_by_cause: Mapping[str, float] = field(default_factory=dict)  # of the rows whose top cause it is

    def lead_needed(self, cause: str) -> float:
        """Log-odds by which this cause must lead to be named; of a cause that was not measured by itself, what holds for all together."""
        return self.min_lead_by_cause.get(cause, self.min_lead)

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN as null."""
        return asdict(self) | {"agreement_of_stable": _or_none(self.agreement_of_stable), "agreement": _or_none(self.agreement)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> CauseStability:
        """The inverse of `to_json`.

        Raises
        ------
        ModelError
            If it is not what `to_json` wrote, or a least lead is negative.
        """
        try:
            known = {name: content[name] for name in cls.__dataclass_fields__ if name in content or name not in _ADDED}
            found = cls(**known | {name: _or_nan(known[name]) for name in ("agreement", "agreement_of_stable")})
            leads = [float(lead) for lead in (found.min_lead, *found.min_lead_by_cause.values())]
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise ModelError(f"cause_stability.json cannot be read ({exc!r}); expected what training wrote; train again") from exc
        if not all(lead >= 0 for lead in leads):
            raise ModelError(f"cause_stability.json: a least lead is {min(leads)}, expected numbers >= 0; train again")
        return found


_ADDED = frozenset({"min_lead_by_cause", "agreement_of_stable_by_cause", "stable_share_by_cause"})
"""What bundles had not from the start."""


def _or_none(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124 - NaN is not itself


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
