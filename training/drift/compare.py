"""All columns of two sets of rows compared: features, profile attributes, prediction, and outcomes where they are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.core.families import CODES
from features.core.product import AttributeType, Product
from training.bounds import require_number, require_whole
from training.drift.errors import TooFewLiveRowsError
from training.drift.psi import MAJOR, MINOR, binned, coded, psi
from training.drift.two_sample import Adjustment, adjusted, chi2_p_value, ks_p_value
from training.frame import AS_OF, OUTCOME, USER

PREDICTION, LABEL = "(predicted risk)", "(dropped out)"
RISK = "risk"


class Kind(StrEnum):
    """What a column is, and what about it was tested."""

    NUMBER = "number"  # Kolmogorov-Smirnov on the defined values
    CODE = "code"  # chi-squared
    MISSING = "missing"  # chi-squared on whether there is a value


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """When a column counts as having moved: shown beyond chance, and far enough to matter.

    Raises
    ------
    BadInputError
        If a number is out of its range.
    """

    false_discoveries: float = 0.05  # most of the expected share of false ones among the columns called moved
    adjustment: Adjustment = Adjustment.BENJAMINI_YEKUTIELI
    psi_from: float = MINOR
    least_users: int = 50  # of each sample

    def __post_init__(self) -> None:
        advice = "a share: 5 % is written 0.05, the default"
        require_number("false_discoveries", self.false_discoveries, above=0.0, most=0.5, advice=advice)
        require_number("psi_from", self.psi_from, least=0.0, most=1e6, advice=f"{MINOR} is the default")
        require_whole("least_users", self.least_users, least=1, most=10**9, advice="50 is the default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Rows of then and of now, each with ``user_id`` and ``as_of``."""

    reference: pd.DataFrame
    current: pd.DataFrame
    columns: tuple[str, ...] | None = None  # None: every feature and attribute, ``risk`` and ``dropped_out``, that both have


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """One test of one column."""

    column: str
    kind: Kind
    psi: float  # of the whole column, missing values included; of whether there is a value where that was tested
    p_value: float
    adjusted: float
    reference_missing: float  # shares
    current_missing: float
    moved: bool

    @property
    def size(self) -> str:
        """How far, in a word."""
        return "major" if self.psi >= MAJOR else "minor" if self.psi >= MINOR else "small"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What moved between two sets of rows."""

    tolerance: Tolerance
    columns: tuple[ColumnDrift, ...]  # largest PSI first
    reference_users: int
    current_users: int

    @property
    def moved(self) -> tuple[ColumnDrift, ...]:
        """Columns that moved."""
        return tuple(each for each in self.columns if each.moved)


def one_row_each(rows: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """One row of each user, drawn at random: tests ask for independent rows, and those of one user are not."""
    shuffled = rows.sample(frac=1.0, random_state=seed) if len(rows) else rows
    return shuffled.drop_duplicates(USER).sort_values([AS_OF, USER], ignore_index=True)


def compare(product: Product, pairs: Sequence[Pair], tolerance: Tolerance | None = None, *, seed: int = 0) -> Drift:
    """Compare rows of then and now, column by column; all tests of all pairs are accounted for together.

    Parameters
    ----------
    pairs
        More than one where columns are known of different rows: outcomes of matured ones alone, predictions of rows that the model has
        not seen.

    Raises
    ------
    TooFewLiveRowsError
        If any has fewer than ``least_users`` users.
    """
    tolerance = tolerance or Tolerance()
    thinned = [_thinned(pair, tolerance, seed) for pair in pairs]
    found = [each for pair in thinned for each in _of_pair(product, pair)]
    p_values = adjusted([each.p_value for each in found], tolerance.adjustment)
    columns = [_judged(each, float(p), tolerance) for each, p in zip(found, p_values, strict=True)]
    return Drift(
        tolerance=tolerance,
        columns=tuple(sorted(columns, key=lambda each: -each.psi)),
        reference_users=max(len(pair.reference) for pair in thinned),
        current_users=max(len(pair.current) for pair in thinned),
    )


def _thinned(pair: Pair, tolerance: Tolerance, seed: int) -> Pair:
    thinned = replace(pair, reference=one_row_each(pair.reference, seed=seed), current=one_row_each(pair.current, seed=seed + 1))
    for name, rows in (("reference", thinned.reference), ("current", thinned.current)):
        if len(rows) < tolerance.least_users:
            raise TooFewLiveRowsError(
                f"{len(rows)} users in the {name} rows, expected at least {tolerance.least_users}; wait for more, or take a longer span"
            )
    return thinned


def _of_pair(product: Product, pair: Pair) -> Iterator[ColumnDrift]:
    for name, is_code in _columns(product, pair):
        yield from _tests(name, pair.reference[name], pair.current[name], is_code=is_code)


def _columns(product: Product, pair: Pair) -> Iterator[tuple[str, bool]]:
    """Names of the columns to compare, and whether each is a code rather than a number."""
    codes = {feature.name for feature in product.catalogue.features if feature.aggregation in CODES}
    codes |= {a.name for a in product.model_attributes if a.type is not AttributeType.NUMBER} | {OUTCOME}
    known = [*product.catalogue.feature_names, *(a.name for a in product.model_attributes), RISK, OUTCOME]
    shared = [name for name in known if name in pair.reference.columns and name in pair.current.columns]
    return ((name, name in codes) for name in shared if pair.columns is None or name in pair.columns)


def _tests(name: str, first: pd.Series, second: pd.Series, *, is_code: bool) -> Iterator[ColumnDrift]:
    """The test of the column's values, and of whether they are missing where any are."""
    missing = [pd.isna(part).to_numpy() for part in (first, second)]
    shares = {"reference_missing": float(missing[0].mean()), "current_missing": float(missing[1].mean())}
    shown = {RISK: PREDICTION, OUTCOME: LABEL}.get(name, name)
    if is_code:
        counts = coded(first.to_numpy(dtype=object), second.to_numpy(dtype=object))
        yield _column(shown, Kind.CODE, psi(*counts), chi2_p_value(*counts), shares)
        return
    numbers = (first.to_numpy(dtype=np.float64), second.to_numpy(dtype=np.float64))
    yield _column(shown, Kind.NUMBER, psi(*binned(*numbers)), ks_p_value(*numbers), shares)
    if missing[0].any() or missing[1].any():
        counts = (_twofold(missing[0]), _twofold(missing[1]))
        yield _column(shown, Kind.MISSING, psi(*counts), chi2_p_value(*counts), shares)


def _column(name: str, kind: Kind, moved_by: float, p_value: float, shares: dict[str, float]) -> ColumnDrift:
    return ColumnDrift(column=name, kind=kind, psi=moved_by, p_value=p_value, adjusted=1.0, moved=False, **shares)


def _judged(each: ColumnDrift, p_value: float, tolerance: Tolerance) -> ColumnDrift:
    return replace(each, adjusted=p_value, moved=p_value <= tolerance.false_discoveries and each.psi >= tolerance.psi_from)


def _twofold(missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    return np.bincount(missing.astype(np.int64), minlength=2).astype(np.int64)


def names(columns: Sequence[ColumnDrift]) -> str:
    """Names for a sentence, the largest first, five at most."""
    shown = [f"{each.column}{' (missing)' if each.kind is Kind.MISSING else ''} {each.psi:.2f}" for each in columns[:5]]
    return ", ".join(shown) + (f" and {len(columns) - 5} more" if len(columns) > 5 else "")  # noqa: PLR2004 - as said
