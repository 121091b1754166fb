"""A study as an MLflow run: figures, tables, plots, the card and the data's fingerprint."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from training.evaluate import Interval
from training.ope.estimators import N_DRAWS
from training.provenance import DATA, FEATURES, POLICY, ROWS, fingerprint_of, log_table
from training.uplift.experiment import Experiment, ExperimentError, experiment_of
from training.uplift.learners import Settings
from training.uplift.plots import budget_plot, qini_plot
from training.uplift.study import Report, Study, everybody, require_draws, study


def study_file(
    path: Path, roles: Mapping[str, Any], *, seed: int = 0, n_draws: int = N_DRAWS, report: Report | None = None
) -> tuple[Study, str]:
    """Read a randomised experiment, study it, and log one MLflow run; returns the study and the run's id.

    Parameters
    ----------
    path
        Parquet, or CSV (also compressed: .csv.gz).
    roles
        Names of columns, as for `training.uplift.experiment.experiment_of`.

    Raises
    ------
    TrainingError
        If the table is not such an experiment; a failed run with the reason is left in MLflow.
    """
    import mlflow

    from training.leftovers import end_leftovers
    from training.tracked import KIND
    from training.tracking import prepare_tracking, run_of

    require_draws(seed, n_draws)
    prepare_tracking()
    with run_of("uplift", f"uplift {path.name}") as run_id:
        mlflow.set_tag(KIND, "uplift")
        end_leftovers(run_id)
        frame = read_table(path)
        experiment = experiment_of(frame, **roles)
        studied = study(experiment, settings=Settings(seed=seed), seed=seed, n_draws=n_draws, report=report)
        _log(studied, experiment, seed)
        _note_sources(path, frame, experiment)
        mlflow.set_tags({"stillhere.control": roles["control"], "stillhere.outcome": roles["outcome"]})
    return studied, run_id


def read_table(path: Path) -> pd.DataFrame:
    """Rows of a Parquet or CSV file.

    Raises
    ------
    ExperimentError
        If it is missing, is neither, or has no rows.
    """
    if not path.is_file():
        raise ExperimentError(f"{path} is not a file; expected a randomised experiment as .parquet, .csv or .csv.gz")
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (ValueError, OSError) as exc:
        raise ExperimentError(f"{path} cannot be read ({exc}); expected .parquet, .csv or .csv.gz") from exc
    if frame.empty:
        raise ExperimentError(f"{path} has no rows; expected one for each person and decision")
    return frame


def summary(studied: Study) -> str:
    """Markdown: what was chosen, whether it is better than treating all, and the tables."""
    values = pd.DataFrame([_value_row(value) for value in studied.worth])
    parts = [
        f"# Whom to contact, with what: {', '.join(studied.arms)}",
        verdict(studied),
        "## Value on test, outcome per person\n\n" + _markdown(values),
        "## Choice on valid (DR)\n\n" + _markdown(studied.choice_table),
        "## Rankings on test\n\n" + _markdown(pd.DataFrame(_ranking_rows(studied))),
        "## Equal budget, on test (DR, paired)\n\n" + _markdown(studied.budgets),
    ]
    return "\n\n".join(parts) + "\n"


def verdict(studied: Study) -> str:
    """One sentence: what was chosen, and whether it is better than the best arm for everybody."""
    gain = studied.gain
    if studied.chosen == everybody(studied.best_arm):
        return f"Chosen on valid: **{studied.chosen}**, the best arm for everybody; no other policy was better there."
    word = "above" if gain.low > 0 else ("below" if gain.high < 0 else "not shown to be above")
    return f"Chosen on valid: **{studied.chosen}**. Its value on test is **{word}** that of all {studied.best_arm}: {gain} (DR, paired)."


def metrics(studied: Study) -> dict[str, float]:
    """Figures to log, by name; no name has a character that MLflow refuses."""
    logged = {f"rows.{part}": float(rows) for part, rows in studied.rows.items()}
    for value in studied.worth:
        for estimator in value.estimates:
            logged |= _bounds(f"value.{value.name}.{estimator}", value.estimates[estimator].interval)
            logged |= _bounds(f"gain_over_best_arm.{value.name}.{estimator}", value.gains[estimator])
    for (name, treatment), ranking in studied.rankings.items():
        logged |= _bounds(f"qini.{name}.{treatment}", ranking.qini)
        logged |= _bounds(f"qini_normalised.{name}.{treatment}", ranking.normalised)
        for share, interval in ranking.uplift_at.items():
            logged |= _bounds(f"uplift_at_{100 * share:.0f}.{name}.{treatment}", interval)
    return {re.sub(r"[^\w./ -]", "_", name): value for name, value in logged.items() if value == value}  # noqa: PLR0124 - NaN is not itself


def _log(studied: Study, experiment: Experiment, seed: int) -> None:
    import mlflow

    logged = {f"learner.{key}": value for key, value in asdict(Settings(seed=seed)).items()}
    mlflow.log_params(
        logged | {"arms.names": ", ".join(experiment.arms), "covariates.names": ", ".join(experiment.covariates.columns)[:500]}
    )
    mlflow.log_metrics(metrics(studied))
    mlflow.log_figure(qini_plot(studied), "plots/qini.png")
    mlflow.log_figure(budget_plot(studied), "plots/equal_budget.png")
    mlflow.log_table(pd.DataFrame([_value_row(value) for value in studied.worth]), "tables/policy_value.json")
    mlflow.log_table(studied.budgets, "tables/equal_budget.json")
    mlflow.log_table(pd.DataFrame(_ranking_rows(studied)), "tables/rankings.json")
    mlflow.log_text(summary(studied), "uplift.md")


def _value_row(value: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"policy": value.name, "contacted": value.contacted}
    row |= {f"{name} value": str(estimate.interval) for name, estimate in value.estimates.items()}
    row |= {f"{name} gain over best arm": str(gain) for name, gain in value.gains.items()}
    return row | {"effective rows": round(next(iter(value.estimates.values())).weights.effective_rows)}


def _ranking_rows(studied: Study) -> list[dict[str, Any]]:
    return [
        {"learner": name, "treatment": treatment, "qini": str(ranking.qini), "normalised": str(ranking.normalised)}
        | {f"uplift@{100 * share:.0f}%": str(interval) for share, interval in ranking.uplift_at.items()}
        for (name, treatment), ranking in studied.rankings.items()
    ]


def _bounds(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _markdown(frame: pd.DataFrame) -> str:
    header = "| " + " | ".join(frame.columns) + " |\n" + "|---" * len(frame.columns) + "|"
    return "\n".join([header, *("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in frame.itertuples(index=False))])


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _note_sources(path: Path, frame: pd.DataFrame, experiment: Experiment) -> None:
    """Say which file, rows and covariates the effects were learned from; the policy is what is chosen, so there is none before it."""
    import mlflow

    sha256 = _sha256(path)
    covariates = hashlib.sha256(",".join(experiment.covariates.columns).encode()).hexdigest()[:16]
    mlflow.set_tags({"stillhere.data_sha256": sha256, DATA: sha256, ROWS: fingerprint_of(frame), FEATURES: covariates, POLICY: "none"})
    log_table(frame, "uplift-experiment", path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
