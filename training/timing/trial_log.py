"""From a table of decisions with randomised delays, as `simulate --trial` writes it, to rows that a response is learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import is_numeric_dtype

from features.backfill.columns import RawColumns
from features.backfill.snapshots import snapshots_of
from features.core.product import Product
from features.home import Home
from models.signature import Signature
from models.timing.hazard import Asked
from models.timing.receptivity import Receptivity
from training.dataset import Join, feast_join, frame_of
from training.errors import OneClassError, TooLittleDataError, TrainingError
from training.frame import AS_OF, OUTCOME, USER
from training.timing.habits import counts_of
from training.timing.response_fit import MIN_ROWS, TrialRows
from training.timing.watch import Watch

DrawnDelays = tuple[TrialRows, tuple[str, ...], tuple[float, ...]]
"""Rows of a trial, the names of its actions by code, and the delays that were drawn."""

NEEDED = (USER, AS_OF, "action", "delay_s", OUTCOME)
DELAY_PROPENSITY, SENT_PROPENSITY, OPEN_DELAYS = "delay_propensity", "sent_propensity", "open_delays_s"
NONE = "none"
LEAST_PROPENSITY = 1e-4
"""Least logged chance of what was done: a row weighs one over it, and one of a smaller chance could outweigh ten thousand others."""
_INSTANT = pa.timestamp("us", tz="UTC")
_LEAST_DELAYS = 2


def read_trial(file: Path) -> pd.DataFrame:
    """Read the decisions, ordered by as_of and user.

    Columns: ``user_id``, ``as_of``, ``action`` ("none" where nothing was sent), ``delay_s`` (drawn at random; missing where nothing was
    sent), ``dropped_out``; and, unless delays were drawn whoever it was about, ``delay_propensity``: P(this delay | the action); unless it
    was drawn so whether anything was sent, ``sent_propensity``: P(something is sent), whatever was done; unless every delay could be drawn
    for everybody, ``open_delays_s``: a list of those that could. What was done had at least the chance `LEAST_PROPENSITY`, of either.

    Raises
    ------
    TrainingError
        If there is no such file, it is no Parquet file, a column is missing, or holds what it cannot.
    """
    if not file.is_file():
        raise TrainingError(f"trial {file}: there is no such file; name a Parquet file of decisions, or none to learn no response")
    try:
        table = pd.read_parquet(file)
    except (pa.ArrowException, OSError) as exc:
        raise TrainingError(f"trial {file}: cannot be read as Parquet ({exc}); write it as `simulate --trial` does") from exc
    missing = sorted(set(NEEDED) - set(table.columns))
    if missing:
        raise TrainingError(f"trial {file}: columns {missing} are missing, expected {list(NEEDED)}; log them with every decision")
    if not isinstance(table[AS_OF].dtype, pd.DatetimeTZDtype):
        raise TrainingError(f"trial {file}: column as_of is {table[AS_OF].dtype}, expected instants in UTC; write them with their zone")
    if (wrong := _wrong_type(table)) is not None:
        name, expected = wrong
        raise TrainingError(f"trial {file}: column {name} is {table[name].dtype}, expected {expected}; write it so")
    if (fault := _fault(table)) is not None:
        row, expected = fault
        raise TrainingError(f"trial {file}: row {row} has {table.iloc[row].to_dict()}, expected {expected}; mend or drop it")
    return table.sort_values([AS_OF, USER], kind="stable", ignore_index=True)


def _wrong_type(table: pd.DataFrame) -> tuple[str, str] | None:
    """A column of what cannot be meant, and what was expected of it: the text "no" would be taken for a true outcome."""
    for name in {"delay_s", DELAY_PROPENSITY, SENT_PROPENSITY} & set(table.columns):
        if not table[name].isna().all() and not is_numeric_dtype(table[name]):
            return name, "numbers"
    if not table[OUTCOME].dropna().isin([False, True]).all():
        return OUTCOME, "true or false"
    lists = table[OPEN_DELAYS].dropna() if OPEN_DELAYS in table else ()
    if not all((np.ndim(one) == 1 and np.asarray(one).dtype.kind in "iuf") or np.size(one) == 0 for one in lists):
        return OPEN_DELAYS, "lists of numbers"
    return None


def _fault(table: pd.DataFrame) -> tuple[int, str] | None:
    """A row that cannot be, and what was expected of it: what is missing must not be learned from as if it were 0."""
    sent = table["action"] != NONE
    faulty = {
        "a user_id, an as_of, an action and a dropped_out": table[[USER, AS_OF, "action", OUTCOME]].isna().any(axis=1),
        "a delay_s of 0 or more where something was sent": sent & ~(table["delay_s"] >= 0).fillna(False).astype(bool),
    }
    if DELAY_PROPENSITY in table:
        drawn = table[DELAY_PROPENSITY]
        possible = (drawn >= LEAST_PROPENSITY) & (drawn <= 1)
        faulty[f"a delay_propensity of at least {LEAST_PROPENSITY:g}, at most 1"] = sent & ~possible.fillna(False).astype(bool)
    if SENT_PROPENSITY in table:
        some = table[SENT_PROPENSITY]
        possible = (some >= 0) & (some <= 1) & (some.where(sent, 1 - some) >= LEAST_PROPENSITY)
        expected = f"a sent_propensity from 0 to 1 that gives what was done a chance of at least {LEAST_PROPENSITY:g}"
        faulty[expected] = ~possible.fillna(False).astype(bool)
    if OPEN_DELAYS in table:
        pairs = zip(table["delay_s"], table[OPEN_DELAYS], strict=True)
        is_open = np.array([open_s is not None and delay_s in list(open_s) for delay_s, open_s in pairs], dtype=np.bool_)
        faulty["open_delays_s with the delay_s among them where something was sent"] = sent & ~is_open
    return next(((int(np.flatnonzero(rows)[0]), expected) for expected, rows in faulty.items() if rows.any()), None)


def require_learnable(table: pd.DataFrame) -> None:
    """Nothing, if a trial can show what a delay does: told from the decisions alone, before any feature is computed.

    Raises
    ------
    TooLittleDataError
        If too little was sent, or all of it after the same delay.
    OneClassError
        If everybody dropped out or nobody did.
    """
    sent = table[table["action"] != NONE]
    if len(sent) < MIN_ROWS:
        raise TooLittleDataError(
            f"timing: the trial has {len(sent)} rows with an action, expected at least {MIN_ROWS}; randomise longer before learning from it"
        )
    if sent["delay_s"].nunique() < _LEAST_DELAYS:
        raise TooLittleDataError(
            f"timing: all {len(sent)} messages of the trial went after {sent['delay_s'].iloc[0]:g} s, expected delays drawn at random;"
            " without a second one nothing says when to act"
        )
    if table[OUTCOME].nunique() < 2:  # noqa: PLR2004 - dropped out or not
        raise OneClassError(f"timing: all {len(table)} rows of the trial have one outcome, expected both; check its outcomes")


def rows_of_trial(
    table: pd.DataFrame,
    places: tuple[Product, Home],
    watched: tuple[RawColumns, Watch],
    *,
    signature: Signature,
    receptivity: Receptivity,
    join: Join | None = None,
) -> DrawnDelays:
    """Rows to learn from, with the names of the actions by code and the delays that were drawn.

    Features are computed from the raw log at each decision's as_of, as for any row of training.

    Raises
    ------
    TrainingError
        If a user is decided about twice at one instant, or is not in the log; or as `require_learnable`.
    """
    require_learnable(table)
    if table.duplicated([USER, AS_OF]).any():
        raise TrainingError("the trial has two decisions about one user at one instant, expected one; drop the doubled rows")
    (product, home), (raw, watch) = places, watched
    _require_known(table[USER], watch)
    spine = pa.table(
        {USER: pa.array(table[USER]), AS_OF: pa.array(table[AS_OF]).cast(_INSTANT), OUTCOME: pa.array(table[OUTCOME].astype(bool))}
    )
    joined = (join or feast_join)(product, home, spine, snapshots_of(raw, product, spine))
    frame = frame_of(product, joined, horizon=product.label.horizon)
    actions = (NONE, *sorted(set(table["action"]) - {NONE}))
    action = np.array([actions.index(name) for name in table["action"]], dtype=np.int64)
    delay_s = table["delay_s"].fillna(0).to_numpy(dtype=np.float64)
    delays_s = tuple(sorted(set(delay_s[action > 0].tolist())))
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
        weight=row_weights(table),
        was_open=open_delays(table, delays_s),
        dropped_out=frame.outcomes,
    )
    return rows, actions, delays_s


def _require_known(users: pd.Series, watch: Watch) -> None:
    unknown = sorted(set(users) - set(watch.user_ids.tolist()))
    if unknown:
        raise TrainingError(
            f"the trial is about {len(unknown)} users whom the log does not know, such as {unknown[0]!r}; import the log of the trial first"
        )


def _propensity(table: pd.DataFrame, delay_s: np.ndarray, sent: np.ndarray) -> np.ndarray:
    """P(this delay | the action): as logged, or each delay's share among those sent."""
    if DELAY_PROPENSITY in table:
        return table[DELAY_PROPENSITY].fillna(1.0).to_numpy(dtype=np.float64)
    delays, code = np.unique(delay_s, return_inverse=True)
    shares = np.bincount(code[sent], minlength=len(delays)) / max(int(sent.sum()), 1)
    return np.where(sent, shares[code], 1.0)


def row_weights(table: pd.DataFrame) -> np.ndarray | None:
    """What makes rows with unequal chances stand for one trial with equal ones; None where all chances were alike.

    Stabilised weights, share of what was done among the rows over its logged chance, of the delay and of sending at all: who had only two
    delays open got each of them more often than who had four, and must not count for more under each.

    References
    ----------
    Robins, Hernan, Brumback (2000), https://doi.org/10.1097/00001648-200009000-00011

    Examples
    --------
    Delay 0 with the chance 1/2, twice, and with 1/4, once: the last one stands for more.

    >>> table = pd.DataFrame({"action": ["m"] * 4, "delay_s": [0.0, 0.0, 0.0, 60.0], "delay_propensity": [0.5, 0.5, 0.25, 0.25]})
    >>> row_weights(table).tolist()
    [1.5, 1.5, 3.0, 1.0]
    """
    if DELAY_PROPENSITY not in table and SENT_PROPENSITY not in table:
        return None
    sent, weight = (table["action"] != NONE).to_numpy(), np.ones(len(table))
    if DELAY_PROPENSITY in table:
        delay = table["delay_s"].fillna(0).to_numpy(dtype=np.float64)
        delays, code = np.unique(delay[sent], return_inverse=True)
        share = np.bincount(code, minlength=len(delays)) / max(int(sent.sum()), 1)
        weight[sent] = share[code] / table[DELAY_PROPENSITY].to_numpy(dtype=np.float64)[sent]
    if SENT_PROPENSITY in table:
        chance = table[SENT_PROPENSITY].to_numpy(dtype=np.float64)
        weight *= np.where(sent, sent.mean() / np.where(sent, chance, 1.0), (1 - sent.mean()) / np.where(sent, 1.0, 1.0 - chance))
    return weight


def open_delays(table: pd.DataFrame, delays_s: Sequence[float]) -> np.ndarray | None:
    """Which of the delays could have been drawn, shape (n_rows, n_delays), all where nothing was sent; None where that was not logged.

    Examples
    --------
    >>> table = pd.DataFrame({"action": ["m", "none"], "open_delays_s": [[0.0, 60.0], None]})
    >>> open_delays(table, (0.0, 60.0, 90.0)).tolist()
    [[True, True, False], [True, True, True]]
    """
    if OPEN_DELAYS not in table:
        return None
    sent = (table["action"] != NONE).to_numpy()
    lists = [set(open_s) if is_sent else set(delays_s) for open_s, is_sent in zip(table[OPEN_DELAYS], sent, strict=True)]
    return np.array([[delay_s in one for delay_s in delays_s] for one in lists], dtype=np.bool_)
