"""Whom to contact with what: a real e-mail trial, a real recommender's logs, and trials with a planted truth.

    make bench-uplift      (STILLHERE_DATA or ../shared/data holds hillstrom and open_bandit_sample; without them only the simulations run)

Hillstrom: 64,000 customers, no e-mail / mens / womens at one third each, split once 50/25/25 within each arm; learners are fitted on train,
the policy is chosen on valid, fitted anew on both, and test is only reported on. Outcomes: a visit, and money spent, in two weeks.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.open_bandit import CAMPAIGNS, evaluated
from benchmarks.report import row, write
from features.declarations.product_file import load_product
from tests.second_generator import second_trial
from training.ope.estimators import Evaluator
from training.ope.log import DecisionLog
from training.ope.rewards import cross_fitted_rewards
from training.ope.trees import TreeParameters
from training.planted import Effects
from training.trial import Trial, draw_trial
from training.uplift.experiment import experiment_of
from training.uplift.matching import matching_gain, trial_evaluator, true_matching_gain
from training.uplift.plots import budget_plot, qini_plot
from training.uplift.record import summary
from training.uplift.study import Study, study

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("STILLHERE_DATA", ROOT.parent / "shared" / "data"))
OUT = Path(__file__).parent / "out"
COVARIATES = ["recency", "history_segment", "history", "mens", "womens", "zip_code", "newbie", "channel"]
N_SEEDS = 20
N_SIMULATIONS = 100


def main() -> int:
    started = time.perf_counter()
    rows, notes = [], []
    for part in (hillstrom, matching, coverage, open_bandit):
        before = time.perf_counter()
        rows += list(part(notes))
        notes.append(f"{part.__name__}: {time.perf_counter() - before:.0f} s")
    rows.append(row("minutes", (time.perf_counter() - started) / 60, "minutes"))
    return 0 if write("uplift", rows, notes=notes) else 1


def hillstrom(notes: list[str]) -> Iterator[dict[str, Any]]:
    file = DATA / "hillstrom" / "hillstrom.csv.gz"
    if not file.is_file():
        notes.append(f"no {file}; set STILLHERE_DATA; Hillstrom is not measured")
        return
    frame = pd.read_csv(file).assign(propensity=1 / 3)
    for outcome in ("visit", "spend"):
        roles = {"outcome": outcome, "arm": "segment", "control": "No E-Mail", "propensity": "propensity"}
        studied = study(experiment_of(frame, **roles, covariates=COVARIATES), seed=0, n_draws=500)
        keep(studied, outcome)
        yield from of_study(studied, outcome, notes)


def keep(studied: Study, outcome: str) -> None:
    OUT.mkdir(exist_ok=True)
    (OUT / f"uplift_{outcome}.md").write_text(summary(studied))
    qini_plot(studied).savefig(OUT / f"uplift_{outcome}_qini.png")
    budget_plot(studied).savefig(OUT / f"uplift_{outcome}_budget.png")


def of_study(studied: Study, outcome: str, notes: list[str]) -> Iterator[dict[str, Any]]:
    unit = "share" if outcome == "visit" else "dollars"
    chosen = studied.worth[0]
    by_name = {each.name: each for each in studied.worth}
    best = by_name[f"all {studied.best_arm}"]
    for estimator in ("dr", "ips"):
        value, reference = chosen.estimates[estimator].interval, best.estimates[estimator].interval
        nobody = by_name["nobody"].estimates[estimator].value
        about = f"{studied.chosen} {value}; treat all {studied.best_arm} {reference}; nobody {nobody:.4f}"
        which = "" if (outcome, estimator) == ("visit", "dr") else f" {outcome} {estimator.upper()}"
        yield row(f"hillstrom policy value{which}", value.value, unit, reference=about)
        gain = chosen.gains[estimator]
        above = "above" if gain.low > 0 else ("the same policy" if chosen is best else "not shown to be above")
        yield row(
            f"hillstrom gain over treat-all-best {outcome} {estimator.upper()}", gain.value, unit, reference=f"{gain}, paired: {above}"
        )
    for (learner, treatment), ranking in studied.rankings.items():
        about = f"{ranking.qini}; of the largest possible: {ranking.normalised}; random 0"
        yield row(f"hillstrom qini {outcome} {learner} {treatment}", ranking.qini.value, unit, reference=about)
    table = studied.budgets.pivot_table(index="ranking", columns="contacted", values="gain over nobody", sort=False)
    notes.append(f"gain over nobody in {outcome} at equal budget (DR, per person of all; plots and intervals in benchmarks/out):")
    notes.extend(f"  {line}" for line in table.round(4).to_string().splitlines())


def matching(_notes: list[str]) -> Iterator[dict[str, Any]]:
    yield from recovered("planted matching gain", simulated)
    yield from recovered("planted matching gain second generator", lambda n_users, seed: second_trial(n_users=n_users, seed=seed))


def simulated(n_users: int, seed: int) -> Trial:
    return draw_trial(load_product(ROOT / "products" / "onboarding"), n_users=n_users, seed=seed, effects=Effects())


def recovered(figure: str, draw: Any) -> Iterator[dict[str, Any]]:
    trial = draw(8000, 0)
    gain, truth = matching_gain(trial_evaluator(trial), trial.cause), true_matching_gain(trial, trial.cause)
    inside = "inside" if gain.low <= truth <= gain.high else "OUTSIDE"
    about = f"truth {truth:.4f}, {inside} {gain}; 8,000 people, cause-matched minus random message, retention"
    yield row(
        figure, gain.value, "share", reference=about, at_least=gain.value - (gain.high - truth), at_most=gain.value + (truth - gain.low)
    )
    covered = sum(covers_truth(draw(1500, seed)) for seed in range(1, N_SEEDS + 1))
    yield row(
        f"{figure} coverage",
        covered / N_SEEDS,
        "share",
        reference=f"0.95 wanted; {covered} of {N_SEEDS} seeds, 1,500 people",
        at_least=0.85,
    )


def covers_truth(trial: Trial) -> bool:
    gain = matching_gain(trial_evaluator(trial), trial.cause)
    return gain.low <= true_matching_gain(trial, trial.cause) <= gain.high


def coverage(_notes: list[str]) -> Iterator[dict[str, Any]]:
    covered = dict.fromkeys(("ips", "snips", "dr"), 0)
    for seed in range(N_SIMULATIONS):
        evaluator, policy, truth = simulated_log(1000, seed)
        for name in covered:
            interval = evaluator.estimate(policy, name).interval
            covered[name] += interval.low <= truth <= interval.high
    for name, count in covered.items():
        about = f"0.95 wanted; {count} of {N_SIMULATIONS} simulations of 1,000 decisions, 3 actions"
        yield row(f"OPE coverage {name.upper()}", count / N_SIMULATIONS, "share", reference=about, at_least=0.90)


def simulated_log(n_rows: int, seed: int) -> tuple[Evaluator, np.ndarray, float]:
    """A log of a policy that depends on who comes, a policy to evaluate, and its true value over all who could come."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 5, size=n_rows)
    logging = np.array([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [0.4, 0.3, 0.3], [0.3, 0.3, 0.4], [0.2, 0.3, 0.5]])
    rates = np.array([[0.2, 0.3, 0.5], [0.2, 0.4, 0.4], [0.3, 0.3, 0.3], [0.4, 0.2, 0.3], [0.5, 0.1, 0.2]])
    wanted = np.array([[0.1, 0.2, 0.7], [0.1, 0.6, 0.3], [0.3, 0.4, 0.3], [0.6, 0.2, 0.2], [0.8, 0.1, 0.1]])
    action = (rng.uniform(size=n_rows)[:, None] > logging[x].cumsum(axis=1)[:, :2]).sum(axis=1)
    reward = (rng.uniform(size=n_rows) < rates[x, action]).astype(np.float64)
    log = DecisionLog(action=action, reward=reward, propensity=logging[x, action], n_actions=3, propensities=logging[x])
    rewards = cross_fitted_rewards(
        x[:, None].astype(np.float64), log, parameters=TreeParameters(rounds=20, min_data_in_leaf=20, learning_rate=0.1)
    )
    truth = float((wanted * rates).sum(axis=1).mean())
    return Evaluator(log=log, rewards=rewards, n_draws=300, seed=seed), wanted[x], truth


def open_bandit(notes: list[str]) -> Iterator[dict[str, Any]]:
    folder = DATA / "open_bandit_sample"
    if not folder.is_dir():
        notes.append(f"no {folder}; set STILLHERE_DATA; the Open Bandit sample is not measured")
        return
    agreed = asked = 0
    for logged, other in (("random", "bts"), ("bts", "random")):
        for campaign in CAMPAIGNS:
            estimates, truth = evaluated(folder, campaign, logged, 300)
            for name, estimate in estimates.items():
                agreed, asked = agreed + agree(estimate, truth), asked + 1
                about = f"{estimate.interval}, {estimate.weights.effective_rows:.0f} effective rows; on-policy {truth.interval}"
                yield row(f"open bandit {campaign} {logged} to {other} {name.upper()}", estimate.value, "clicks a view", reference=about)
    yield row(
        "open bandit agreement",
        agreed / asked,
        "share",
        reference=f"{agreed} of {asked} differ from on-policy by chance only",
        at_least=0.85,
    )


def agree(estimate: Any, truth: Any) -> bool:
    """Two independent logs: the difference is within 1.96 standard errors, taken from the widths of both intervals."""
    errors = [(each.interval.high - each.interval.low) / 3.92 for each in (estimate, truth)]
    return abs(estimate.value - truth.value) <= 1.96 * float(np.hypot(*errors))


if __name__ == "__main__":
    sys.exit(main())
