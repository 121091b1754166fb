"""A trial of delays from an installation's own receipts: decisions whose moment chance chose, and those in which it chose never.

Chance chose, so that of people who look alike those who were written to at once and those who were written to later differ by nothing but
that. What the policy itself chose is left out: it says what the policy thought, not what waiting does. A decision counts by what was drawn,
whether or not the message was delivered, and whatever was decided about the user afterwards (intention to treat).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
from training.errors import TrainingError
from training.frame import AS_OF, OUTCOME, USER
from training.thresholds.decisions import Decided, with_outcomes
from training.thresholds.errors import NoReceiptsError
from training.timing.trial_log import DELAY_PROPENSITY, NONE, SENT_PROPENSITY

COLUMNS = (USER, AS_OF, "action", "channel", "delay_s", "delay_propensity", "sent_propensity", "propensity", OUTCOME, "decision_id")
"""Of the table, in order."""

_READ = ["decision_id", AS_OF, "policy", "action", "receipt"]
_MENTIONED = '"delays":{'  # receipts are canonical JSON; most hold nothing of the kind and need not be parsed
_ROWS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnTrial:
    """A trial as `train --trial` reads it, and what was left out of it."""

    table: pd.DataFrame  # `COLUMNS`, by as_of and user
    left_out: dict[str, int]  # decisions by reason

    @property
    def notes(self) -> list[str]:
        """What the trial cannot show, in sentences."""
        found = []
        if not (self.table["action"] == NONE).any():
            found.append(
                "chance never chose to send nothing (exploration.arm_share): what waiting does can be learned, not what writing at all does"
            )
        return found


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
    counts, found = _decisions(receipts_dir, since)
    drawn = pd.DataFrame([row for row in found if row is not None])
    if drawn.empty:
        raise TrainingError(
            f"of {counts['others']} receipts in {receipts_dir} {len(found)} have moments that chance could have chosen, and in none it did"
            f" (left out: {counts['in staging']} of a policy in staging); name exploration.delay_share and exploration.delays in"
            " policy.yaml, and let it decide for longer"
        )
    drawn = drawn.astype({AS_OF: pd.DatetimeTZDtype(unit="us", tz="UTC"), "delay_s": "float64", DELAY_PROPENSITY: "float64"})
    left_out = {"the policy chose the moment": sum(row is None for row in found), "in staging": counts["in staging"]}
    once = drawn.sort_values([AS_OF, USER, "decision_id"]).drop_duplicates([USER, AS_OF])
    left_out["another about the user at that instant"] = len(drawn) - len(once)
    decided = with_outcomes(Decided(rows=once, left_out=left_out), raw, product)
    return DrawnTrial(table=decided.rows[list(COLUMNS)], left_out=decided.left_out)


def write_trial(trial: DrawnTrial, file: Path) -> None:
    """Write the table as Parquet, the whole of it or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.part")
    trial.table.to_parquet(temporary, index=False)
    temporary.replace(file)


def arm_table(trial: pd.DataFrame) -> list[dict[str, str]]:
    """How many decisions each delay, and "never", has, and what became of them; by delay, never last."""
    rows = []
    for _, mine in trial.groupby("delay_s", dropna=False, sort=True):
        delay_s = float(mine["delay_s"].iloc[0])
        delay = "never" if math.isnan(delay_s) else window_text(timedelta(seconds=delay_s)) if delay_s else "now"
        users, dropped_out = str(mine[USER].nunique()), f"{mine[OUTCOME].mean():.3f}"
        rows.append({"delay": delay, "decisions": str(len(mine)), "users": users, "dropped out": dropped_out})
    return rows


def _decisions(receipts_dir: Path, since: datetime | None) -> tuple[Counter[str], list[dict[str, Any] | None]]:
    """How many receipts there are; and, of those with moments to choose from, the trial's row, None where the policy chose."""
    counts, seen, rows, staging = Counter[str](), set[str](), list[tuple[str, dict[str, Any] | None]](), set[str]()
    for decision_id, as_of, policy, action, receipt in _receipts(receipts_dir):
        if decision_id in seen or (since is not None and as_of < since):
            continue
        seen.add(decision_id)
        staging |= {policy} if action == "stage" else set()
        output = orjson.loads(receipt)["output"] if _MENTIONED in receipt else {}
        if output.get("delays"):
            rows.append((policy, _row(output, as_of)))
    if not seen:
        raise NoReceiptsError(f"no receipts in {receipts_dir}, expected some; the worker exports them every few seconds while it runs")
    kept = [row for policy, row in rows if policy not in staging]
    counts.update({"in staging": len(rows) - len(kept), "others": len(seen) - len(rows) + len(kept)})
    return counts, kept


def _receipts(receipts_dir: Path) -> Iterator[tuple[Any, ...]]:
    for part in sorted(receipts_dir.glob("day=*/part-*.parquet")):
        try:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=_ROWS, columns=_READ):
                    yield from zip(*(batch[name].to_pylist() for name in _READ), strict=True)
        except (OSError, KeyError, pa.ArrowException) as exc:
            raise NoReceiptsError(f"{part}: could not be read ({type(exc).__name__}: {exc}); move it away, it is exported again") from exc


def _row(output: Mapping[str, Any], as_of: datetime) -> dict[str, Any] | None:
    """One row of the trial; None where the policy chose the moment itself."""
    delays, message = output["delays"], output["message"]
    if message is not None and not delays["drawn"]:
        return None
    chance = {arm["name"]: arm["propensity"] for arm in output["arms"]}
    plain = {USER: output["user_id"], AS_OF: as_of, "decision_id": output["decision_id"], SENT_PROPENSITY: _sent_propensity(chance, delays)}
    if message is None:
        return plain | {"action": NONE, "channel": None, "delay_s": None, DELAY_PROPENSITY: None, "propensity": chance["none"]}
    arm = f"{message['class']}/{message['channel']}"
    return plain | {
        "action": message["id"],
        "channel": message["channel"],
        "delay_s": delays["delay_s"],
        DELAY_PROPENSITY: delays["chance_of_each"],
        "propensity": chance[arm] * message["propensity"] * delays["propensity"],
    }


def _sent_propensity(chance: Mapping[str, float], delays: Mapping[str, Any]) -> float:
    """P(something was sent | the decision is in the trial): in it is who was drawn a moment, or nothing."""
    share = max(slot["propensity"] for slot in delays["slots"] if slot["code"] == "ok" and not slot["own"]) / delays["chance_of_each"]
    sent = share * sum(propensity for name, propensity in chance.items() if name.startswith("outreach/"))
    return float(sent / (sent + chance["none"]))
