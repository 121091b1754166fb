"""A trial of delays from an installation's own receipts: decisions whose moment chance chose, and those in which it chose never.

Chance chose, so that of people who look alike those who were written to at once and those who were written to later differ by nothing but
that. What the policy itself chose is left out: it says what the policy thought, not what waiting does. A decision counts by what was drawn,
whether or not the message was delivered, and whatever was decided about the user afterwards (intention to treat).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.backfill.columns import RawColumns
from features.core.catalogue import window_text
from features.core.product import Product
from training.errors import BadInputError, TrainingError
from training.frame import AS_OF, OUTCOME, USER
from training.thresholds.decisions import Decided, with_outcomes
from training.thresholds.errors import NoReceiptsError
from training.timing.trial_log import DELAY_PROPENSITY, NONE, OPEN_DELAYS, SENT_PROPENSITY

COLUMNS = (
    *(USER, AS_OF, "action", "channel", "delay_s", DELAY_PROPENSITY, SENT_PROPENSITY, OPEN_DELAYS, OUTCOME),
    "decision_id",
)
"""Of the table, in order."""

_READ = ["decision_id", USER, AS_OF, "policy", "action", "receipt"]
_MENTIONED, _OUTREACH = '"delays":{', '"class":"outreach"'  # in canonical JSON; most receipts have neither and need not be parsed
_ROWS = 2_000
_NOT_DRAWABLE: dict[str, Any] = {}
"""Of a decision in which chance had no moment to choose."""
_NO_NEVER = "chance never chose to send nothing (exploration.arm_share): what waiting does can be learned, not what writing at all does"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnTrial:
    """A trial as `train --trial` reads it, and what was left out of it."""

    table: pd.DataFrame  # `COLUMNS`, by as_of and user
    left_out: dict[str, int]  # decisions by reason
    n_never_contacted: int  # of those that were drawn to never: users whom a later decision wrote to within the horizon

    @property
    def notes(self) -> list[str]:
        """What the trial cannot show, in sentences."""
        n_never = int((self.table["action"] == NONE).sum())
        if not n_never:
            return [_NO_NEVER]
        if self.n_never_contacted:
            return [f"of {n_never} drawn to never, {self.n_never_contacted} were written to within the horizon by a later decision"]
        return []


def trial_of_receipts(receipts_dir: Path, raw: RawColumns, product: Product, *, since: datetime | None = None) -> DrawnTrial:
    """Take the decisions whose moment, or "never", chance chose, with what became of their users.

    Decisions whose horizon the log has not seen whole are left out and counted, as are those of a policy in staging, which sent nothing.

    Parameters
    ----------
    receipts_dir
        Exported receipts: ``Home.receipts_dir(product.name)``.
    raw
        The raw log, for outcomes: `features.backfill.columns.read_columns`.
    since
        Decisions before it are left out, uncounted.

    Raises
    ------
    NoReceiptsError
        If nothing was exported, or it cannot be read.
    TrainingError
        If chance chose no moment in any of the decisions.

    References
    ----------
    Analysis by what was drawn: Imbens and Rubin (2015), ch. 23, https://doi.org/10.1017/CBO9781139025751
    """
    found = _found(receipts_dir, since)
    live = [row for policy, row in found.rows if policy not in found.staging]
    drawn = pd.DataFrame([row for row in live if row is not None])
    staged = len(found.rows) - len(live)
    if drawn.empty:
        raise TrainingError(
            f"of {len(found.seen)} receipts in {receipts_dir} {len(live)} have moments that chance could have chosen, and in none it did"
            f" (left out: {staged} of a policy in staging); name exploration.delay_share and exploration.delays in policy.yaml, and let it"
            " decide for longer"
        )
    drawn = drawn.astype({AS_OF: pd.DatetimeTZDtype(unit="us", tz="UTC"), "delay_s": "float64", DELAY_PROPENSITY: "float64"})
    left_out = {"the policy chose the moment": sum(row is None for row in live), "in staging": staged}
    once = drawn.sort_values([AS_OF, USER, "decision_id"]).drop_duplicates([USER, AS_OF])
    left_out["another about the user at that instant"] = len(drawn) - len(once)
    decided = with_outcomes(Decided(rows=once, left_out=left_out), raw, product)
    table = decided.rows[list(COLUMNS)]
    n_contacted = _n_never_contacted(table, found.outreach, product.label.horizon)
    return DrawnTrial(table=table, left_out=decided.left_out, n_never_contacted=n_contacted)


def write_trial(trial: DrawnTrial, file: Path) -> None:
    """Write the table as Parquet, the whole of it or nothing.

    Raises
    ------
    BadInputError
        If it cannot be written there.
    """
    temporary = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        trial.table.to_parquet(temporary, index=False)
        temporary.replace(file)
    except OSError as exc:
        raise BadInputError(f"out: got {file} ({exc}), expected a file that can be written; name another with --out") from exc


def arm_table(trial: pd.DataFrame) -> list[dict[str, str]]:
    """How many decisions each delay, and "never", has, and what became of them; by delay, never last."""
    rows = []
    for _, mine in trial.groupby("delay_s", dropna=False, sort=True):
        delay_s = float(mine["delay_s"].iloc[0])
        delay = "never" if math.isnan(delay_s) else window_text(timedelta(seconds=delay_s)) if delay_s else "now"
        users, dropped_out = str(mine[USER].nunique()), f"{mine[OUTCOME].mean():.3f}"
        rows.append({"delay": delay, "decisions": str(len(mine)), "users": users, "dropped out": dropped_out})
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What receipts tell of a trial."""

    seen: set[str] = field(default_factory=set)  # decision ids
    staging: set[str] = field(default_factory=set)  # policies that sent nothing
    rows: list[tuple[str, dict[str, Any] | None]] = field(default_factory=list)  # policy and row; None where the policy chose the moment
    outreach: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))  # when it was decided on, by user


def _found(receipts_dir: Path, since: datetime | None) -> _Found:
    found = _Found()
    for decision_id, user_id, as_of, policy, action, receipt in _receipts(receipts_dir):
        if decision_id in found.seen or (since is not None and as_of < since):
            continue
        found.seen.add(decision_id)
        if action == "stage":
            found.staging.add(policy)
        if action == "send" and _OUTREACH in (receipt or ""):
            found.outreach[user_id].append(as_of)
        row = _row_of(decision_id, receipt, as_of) if receipt and _MENTIONED in receipt else _NOT_DRAWABLE
        if row is not _NOT_DRAWABLE:
            found.rows.append((policy, row))
    if not found.seen:
        raise NoReceiptsError(f"no receipts in {receipts_dir}, expected some; the worker exports them every few seconds while it runs")
    return found


def _n_never_contacted(table: pd.DataFrame, outreach: Mapping[str, Sequence[datetime]], horizon: timedelta) -> int:
    never = table[table["action"] == NONE]
    pairs = zip(never[USER], never[AS_OF], strict=True)
    return sum(any(as_of < at < as_of + horizon for at in outreach.get(user_id, ())) for user_id, as_of in pairs)


def _receipts(receipts_dir: Path) -> Iterator[tuple[Any, ...]]:
    for part in sorted(receipts_dir.glob("day=*/part-*.parquet")):
        try:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=_ROWS, columns=_READ):
                    yield from zip(*(batch[name].to_pylist() for name in _READ), strict=True)
        except (OSError, KeyError, pa.ArrowException) as exc:
            raise NoReceiptsError(f"{part}: could not be read ({type(exc).__name__}: {exc}); move it away, it is exported again") from exc


def _row_of(decision_id: str, receipt: str, as_of: datetime) -> dict[str, Any] | None:
    try:
        output = orjson.loads(receipt)["output"]
        return _row(output, as_of) if output.get("delays") else _NOT_DRAWABLE
    except (ValueError, KeyError, TypeError) as exc:
        raise NoReceiptsError(
            f"the receipt of {decision_id} cannot be understood ({type(exc).__name__}: {exc}), expected one that the worker exported; "
            "move the file that holds it away, it is exported again"
        ) from exc


def _row(output: Mapping[str, Any], as_of: datetime) -> dict[str, Any] | None:
    """One row of the trial; None where the policy chose the moment itself."""
    delays, message = output["delays"], output["message"]
    if message is not None and not delays["drawn"]:
        return None
    chance = {arm["name"]: arm["propensity"] for arm in output["arms"]}
    plain = {
        USER: output["user_id"],
        AS_OF: as_of,
        "decision_id": output["decision_id"],
        SENT_PROPENSITY: _sent_propensity(chance, delays),
        OPEN_DELAYS: _open_delays_s(delays),
    }
    if message is None:
        return plain | {"action": NONE, "channel": None, "delay_s": None, DELAY_PROPENSITY: None}
    return plain | {
        "action": message["id"],
        "channel": message["channel"],
        "delay_s": delays["delay_s"],
        DELAY_PROPENSITY: delays["chance_of_each"],
    }


def _open_delays_s(delays: Mapping[str, Any]) -> list[float]:
    """Those that chance could draw: the policy's own moment is one more where it is none of the list."""
    allowed = [slot for slot in delays["slots"] if slot["code"] == "ok"]
    is_own_of_the_list = len(allowed) == round(1 / delays["chance_of_each"])
    return [slot["delay_s"] for slot in allowed if is_own_of_the_list or not slot["own"]]


def _sent_propensity(chance: Mapping[str, float], delays: Mapping[str, Any]) -> float:
    """P(something was sent | the decision is in the trial): in it is who was drawn a moment, or nothing."""
    share = max(slot["propensity"] for slot in delays["slots"] if slot["code"] == "ok" and not slot["own"]) / delays["chance_of_each"]
    sent = share * sum(propensity for name, propensity in chance.items() if name.startswith("outreach/"))
    return float(sent / (sent + chance["none"]))
