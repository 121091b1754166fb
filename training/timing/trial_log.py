"""From a table of decisions with randomised delays, as `simulate --trial` writes it, to rows that a response is learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from features.backfill.columns import RawColumns
from features.backfill.snapshots import snapshots_of
from features.core.product import Product
from features.home import Home
from models.signature import Signature
from models.timing.hazard import Asked
from models.timing.receptivity import Receptivity
from training.dataset import Join, feast_join, frame_of
from training.errors import TrainingError
from training.frame import AS_OF, OUTCOME, USER
from training.timing.habits import counts_of
from training.timing.response_fit import TrialRows
from training.timing.watch import Watch

NEEDED = (USER, AS_OF, "action", "delay_s", OUTCOME)
NONE = "none"
_INSTANT = pa.timestamp("us", tz="UTC")


def read_trial(file: Path) -> pd.DataFrame:
    """Read the decisions, ordered by as_of and user.

    Columns: ``user_id``, ``as_of``, ``action`` ("none" where nothing was sent), ``delay_s`` (drawn at random; missing where nothing was
    sent), ``dropped_out``; and, unless delays were drawn whoever it was about, ``delay_propensity``: P(this delay | the action).

    Raises
    ------
    TrainingError
        If there is no such file, or a column is missing.
    """
    if not file.is_file():
        raise TrainingError(f"trial {file}: there is no such file; name a Parquet file of decisions, or none to learn no response")
    table = pd.read_parquet(file)
    missing = sorted(set(NEEDED) - set(table.columns))
    if missing:
        raise TrainingError(f"trial {file}: columns {missing} are missing, expected {list(NEEDED)}; log them with every decision")
    return table.sort_values([AS_OF, USER], kind="stable", ignore_index=True)


def rows_of_trial(
    table: pd.DataFrame,
    places: tuple[Product, Home],
    watched: tuple[RawColumns, Watch],
    *,
    signature: Signature,
    receptivity: Receptivity,
    join: Join | None = None,
) -> tuple[TrialRows, tuple[str, ...], tuple[float, ...]]:
    """Rows to learn from, with the names of the actions by code and the delays that were drawn.

    Features are computed from the raw log at each decision's as_of, as for any row of training.

    Raises
    ------
    TrainingError
        If a user is decided about twice at one instant.
    """
    if table.duplicated([USER, AS_OF]).any():
        raise TrainingError("the trial has two decisions about one user at one instant, expected one; drop the doubled rows")
    (product, home), (raw, watch) = places, watched
    spine = pa.table(
        {USER: pa.array(table[USER]), AS_OF: pa.array(table[AS_OF]).cast(_INSTANT), OUTCOME: pa.array(table[OUTCOME].astype(bool))}
    )
    joined = (join or feast_join)(product, home, spine, snapshots_of(raw, product, spine))
    frame = frame_of(product, joined, horizon=product.label.horizon)
    actions = (NONE, *sorted(set(table["action"]) - {NONE}))
    action = np.array([actions.index(name) for name in table["action"]], dtype=np.int64)
    delay_s = table["delay_s"].fillna(0).to_numpy(dtype=np.float64)
    habit_rows = watch.rows_of(frame)
    rows = TrialRows(
        asked=Asked(
            encoded=signature.encode(frame.vectors, frame.profiles()),
            as_of_us=habit_rows.as_of_us,
            utc_offset_s=habit_rows.utc_offset_s,
            habit=receptivity.probabilities(counts_of(watch.hours, habit_rows, receptivity.half_life_s)),
        ),
        user=frame.rows[USER].to_numpy(),
        action=action,
        delay_s=delay_s,
        delay_propensity=_propensity(table, delay_s, action > 0),
        dropped_out=frame.outcomes,
    )
    return rows, actions, tuple(sorted(set(delay_s[action > 0].tolist())))


def _propensity(table: pd.DataFrame, delay_s: np.ndarray, sent: np.ndarray) -> np.ndarray:
    """P(this delay | the action): as logged, or each delay's share among those sent."""
    if "delay_propensity" in table:
        return table["delay_propensity"].fillna(1.0).to_numpy(dtype=np.float64)
    delays, code = np.unique(delay_s, return_inverse=True)
    shares = np.bincount(code[sent], minlength=len(delays)) / max(int(sent.sum()), 1)
    return np.where(sent, shares[code], 1.0)
