"""The Open Bandit sample: two logging policies on one page, so each says what the other's evaluation should have found.

The random policy is uniform by design. The Thompson sampling policy (bts) ignores who is looking; what it does is how often its own log
shows each item at each position. Its log records the chance of each item shown.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.ope.estimators import Estimate, Evaluator
from training.ope.log import DecisionLog
from training.ope.rewards import cross_fitted_rewards
from training.ope.trees import TreeParameters
from training.uplift.columns import learn_columns

FloatArray = npt.NDArray[np.float64]

CAMPAIGNS = ("all", "men", "women")
FEATURES = ["position", "user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3"]


def read(folder: Path, policy: str, campaign: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{policy}_{campaign}_log.csv.gz", usecols=["item_id", "click", "propensity_score", *FEATURES])


def log_of(rows: pd.DataFrame, n_items: int) -> DecisionLog:
    return DecisionLog(
        action=rows["item_id"].to_numpy(),
        reward=rows["click"].to_numpy(dtype=np.float64),
        propensity=rows["propensity_score"].to_numpy(),
        n_actions=n_items,
    )


def shown(rows: pd.DataFrame, n_items: int) -> dict[int, FloatArray]:
    """How often each item is shown at each position."""
    return {
        int(position): np.bincount(group["item_id"], minlength=n_items) / len(group)
        for position, group in rows.groupby("position", sort=True)
    }


def evaluated(folder: Path, campaign: str, logged: str, n_draws: int) -> tuple[dict[str, Estimate], Estimate]:
    """Estimates of the other policy from the log of ``logged``, and what the other policy's own log says."""
    other = "bts" if logged == "random" else "random"
    rows, truth = read(folder, logged, campaign), read(folder, other, campaign)
    n_items = 1 + int(max(rows["item_id"].max(), truth["item_id"].max()))
    log = log_of(rows, n_items)
    policy = np.full((len(rows), n_items), 1 / n_items)
    if other == "bts":
        by_position = shown(truth, n_items)
        policy = np.stack([by_position[position] for position in rows["position"]])
    columns = learn_columns(rows[FEATURES])
    rewards = cross_fitted_rewards(
        columns.encode(rows[FEATURES]), log, parameters=TreeParameters(rounds=20), categorical=columns.categorical
    )
    evaluator = Evaluator(log=log, rewards=rewards, n_draws=n_draws)
    estimates = {name: evaluator.estimate(policy, name) for name in ("ips", "snips", "dr")}
    own = np.zeros((len(truth), 1)) + 1.0
    on_policy = Evaluator(
        log=DecisionLog(
            action=np.zeros(len(truth), dtype=np.int64),
            reward=truth["click"].to_numpy(dtype=np.float64),
            propensity=np.ones(len(truth)),
            n_actions=1,
        ),
        n_draws=n_draws,
    ).ips(own)
    return estimates, on_policy
