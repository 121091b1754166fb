"""How well the risk orders people by other horizons than its own: gone for a day, three, a week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.backfill.columns import RawColumns, read_fingerprinted
from features.backfill.spine import activity_of, end_of_data_us
from features.core.labels import Labels, label_rows
from features.core.product import Product
from features.home import Home
from training.compare import Scored
from training.evaluate import Interval, UserDraws, auc_interval, average_precision
from training.frame import AS_OF, USER, TrainingFrame, to_us_array
from training.split import MIN_ROWS

_US = timedelta(microseconds=1)
_EVER_US = int(np.iinfo(np.int64).max) - 1

HORIZONS = tuple(timedelta(days=days) for days in (1, 3, 7, 14, 30))
"""Looked at beside the label's own horizon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonFigures:
    """How one scorer orders the rows by "no activity within ``days``"; the probabilities themselves are of the label's own horizon."""

    days: float
    scorer: str
    rows: int  # whose outcome at this horizon is known
    dropout_rate: float
    auc: Interval
    average_precision: float

    @property
    def suffix(self) -> str:
        """How metrics name the horizon, as in ``model.auc.h7d``."""
        return f"h{self.days:g}d"


def horizon_figures(
    product: Product, home: Home, test: TrainingFrame, scored: Mapping[str, Scored], horizons: Sequence[timedelta] = HORIZONS
) -> list[HorizonFigures]:
    """Figures of every scorer at every horizon, the label's own included, for which the log knows enough outcomes of both kinds.

    Outcomes follow from the activity in the raw log, as the label's own do where it implies them.

    Parameters
    ----------
    scored
        What each scorer says of the rows of ``test``, by name.
    """
    raw, _ = read_fingerprinted(home.raw_dir(product.name), product)
    found: list[HorizonFigures] = []
    for horizon in sorted({*horizons, test.horizon}):
        labels = outcomes_at(raw, product, test.rows, horizon)
        known = labels.mature
        if known.sum() >= MIN_ROWS and len(np.unique(labels.dropped_out[known])) > 1:
            users = test.rows[USER].to_numpy()[known]
            found += _figures(horizon, {name: each.at(known) for name, each in scored.items()}, labels.dropped_out[known], users)
    return found


def outcomes_at(raw: RawColumns, product: Product, rows: pd.DataFrame, horizon: timedelta) -> Labels:
    """Whether each row's person showed no activity within ``horizon`` after its as_of, and whether the log can know it yet."""
    code = {user: index for index, user in enumerate(raw.user_ids.tolist())}
    users = np.array([code[user] for user in rows[USER].tolist()], dtype=np.int64)
    activity = activity_of(raw, product)
    return label_rows(
        activity.user,
        activity.occurred_us,
        raw.attachments.whom(users, _EVER_US),
        to_us_array(rows[AS_OF]),
        horizon_us=horizon // _US,
        end_of_data_us=end_of_data_us(raw),
    )


def _figures(
    horizon: timedelta, scored: Mapping[str, Scored], outcomes: npt.NDArray[np.bool_], users: npt.NDArray[np.object_]
) -> list[HorizonFigures]:
    draws = UserDraws(users)
    return [
        HorizonFigures(
            days=horizon / timedelta(days=1),
            scorer=name,
            rows=len(outcomes),
            dropout_rate=float(outcomes.mean()),
            auc=auc_interval(each.ranks, outcomes, draws),
            average_precision=average_precision(each.ranks, outcomes),
        )
        for name, each in scored.items()
        if np.ptp(each.ranks) > 0  # the base rate orders nobody
    ]
