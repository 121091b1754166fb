"""Thresholds and monitor of a product, from its log and receipts to an MLflow run: the only place here that meets MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from features.backfill.columns import read_fingerprinted
from features.core.product import Product
from features.home import Home
from training.dataset import build_frame
from training.freshness import Look, require_fresh_log
from training.pipeline import Report, say_nothing
from training.provenance import DATA, log_table, note_rows, policy_of
from training.thresholds.alerts import solve_frame
from training.thresholds.champion import ServingChampion, load_champion, unseen
from training.thresholds.decisions import Decided, read_decisions, with_outcomes
from training.thresholds.monitor import Monitored, monitor
from training.thresholds.policy_write import require_writable, write_thresholds
from training.thresholds.report import (
    figure_metrics,
    markdown,
    monitor_page,
    monitor_table,
    threshold_metrics,
    threshold_page,
    threshold_table,
)
from training.thresholds.rule_errors import RuleError, rule_errors, rule_table
from training.thresholds.signals import SignalSet
from training.thresholds.solve import Contract, Thresholds
from training.thresholds.usual import Usual, baseline_metrics, baseline_rows, proposal_text, usual_of
from training.tracked import tracked_run

ALARM = "stillhere.alarm"
"""Tag of a monitor's run: the sentence of its alarms; "" without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedRun:
    """Solved thresholds and where they came from and went to."""

    thresholds: Thresholds
    champion: ServingChampion
    run_id: str
    policy_hash: str | None  # of the file as written; None where it was not
    usual: Usual | None = None  # baselines by cohort; None where no signals were asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorRun:
    """What a look at operation found."""

    monitored: Monitored
    decided: Decided
    rules: tuple[RuleError, ...]  # of the policy's rules on the same decisions; empty where no policy stands beside the product
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is solved on, and where the result is written."""

    contract: Contract = field(default_factory=Contract)
    labels: str | None = None  # as for `training.dataset.build_frame`
    write_to: Path | None = None  # a policy file
    signals: SignalSet | None = None  # whose baselines by cohort are taken on the same day


def solve_product(product: Product, home: Home, look: Look, scope: Scope | None = None, *, report: Report = say_nothing) -> SolvedRun:
    """Solve the champion's thresholds on the rows that it has not seen; write them into the policy file if asked.

    Raises
    ------
    TrainingError
        If the log is empty or stale, there is no champion, rows are too few, or the policy file may not be written: nothing is then.
    DeclarationError
        If the policy file is missing or no policy, before anything is solved.
    """
    scope = scope or Scope()
    if scope.write_to is not None:
        require_writable(scope.write_to, product)
    with tracked_run(product, "thresholds", product_dir=look.product_dir) as run_id:
        require_fresh_log(product, home, look)
        champion = load_champion(product)
        history = build_frame(product, home, labels=scope.labels, now=look.now, report=report)
        usual = None if scope.signals is None else usual_of(history, scope.signals)
        frame = unseen(history, champion)
        note_rows(frame, "thresholds", home.raw_dir(product.name))
        solved = solve_frame(frame, champion.bundle.risk(frame.vectors, frame.profiles()), scope.contract)
        _record_thresholds(solved, champion, usual)
        policy_hash = None
        if scope.write_to is not None:
            policy_hash = write_thresholds(scope.write_to, product, solved.risk_threshold, solved.segment_thresholds)
            _tag("stillhere.policy_hash", policy_hash)
    return SolvedRun(thresholds=solved, champion=champion, run_id=run_id, policy_hash=policy_hash, usual=usual)


def monitor_product(product: Product, home: Home, look: Look, contract: Contract, *, since: datetime | None = None) -> MonitorRun:
    """Watch the alert error of the decisions whose outcomes are known.

    Raises
    ------
    TrainingError
        If there are no receipts of this product, none with a known outcome, or the log is stale.
    """
    with tracked_run(product, "monitor", product_dir=look.product_dir) as run_id:
        raw_dir = home.raw_dir(product.name)
        require_fresh_log(product, home, look)
        policy = policy_of(product, look.product_dir)
        decided = read_decisions(home.receipts_dir(product.name), product, since=since, with_receipt=policy is not None)
        raw, fingerprint = read_fingerprinted(raw_dir, product)
        decided = with_outcomes(decided, raw, product)
        _tag(DATA, fingerprint)
        rules = () if policy is None else tuple(rule_errors(decided.rows, policy))
        decided = replace(decided, rows=decided.rows.drop(columns="receipt", errors="ignore"))
        log_table(decided.rows, f"{product.name}-receipts", home.receipts_dir(product.name))
        names = [segment.name for segment in product.segments]
        seen = monitor(decided.rows, names, contract, horizon=pd.Timedelta(product.label.horizon))
        _record_monitor(seen, decided, rules)
    return MonitorRun(monitored=seen, decided=decided, rules=rules, run_id=run_id)


def _record_thresholds(solved: Thresholds, champion: ServingChampion, usual: Usual | None) -> None:
    import mlflow

    _log_contract(solved.contract)
    mlflow.log_metrics(threshold_metrics(solved))
    mlflow.log_text(threshold_page(solved), "thresholds.md")
    mlflow.log_table(pd.DataFrame(threshold_table(solved)), "thresholds.json")
    mlflow.log_text(proposal_text(solved, usual), "proposal.yaml")
    if usual is not None and usual.baselines:
        mlflow.log_table(pd.DataFrame(baseline_rows(usual)), "baselines.json")
        mlflow.log_metrics(baseline_metrics(usual.baselines))
    mlflow.set_tags({"stillhere.model_version": champion.version, "stillhere.model_run": champion.run_id})


def _record_monitor(seen: Monitored, decided: Decided, rules: Sequence[RuleError]) -> None:
    import mlflow

    _log_contract(seen.contract)
    mlflow.log_metrics(figure_metrics("operation", seen.figures))
    mlflow.log_metrics({f"left_out.{reason.replace(chr(39), '')}": float(count) for reason, count in decided.left_out.items()})
    mlflow.log_metrics({f"watch.{each.name}.users": float(each.users) for each in seen.watched})
    mlflow.log_metrics({f"watch.{each.name}.low": float(each.watch.low[-1]) for each in seen.watched if each.users})
    for rule in rules:
        mlflow.log_metrics(figure_metrics(f"rule.{rule.trigger}", rule.figures))
    table = rule_table(seen.figures, rules)
    mlflow.log_text(f"{monitor_page(seen)}\n## Risk and rules on the same decisions\n\n{markdown(table)}", "monitor.md")
    mlflow.log_table(pd.DataFrame(table), "rules.json")
    mlflow.log_table(pd.DataFrame(monitor_table(seen)), "monitor.json")
    _tag(ALARM, "; ".join(seen.alarms))


def _log_contract(contract: Contract) -> None:
    import mlflow

    mlflow.log_params({f"contract.{name}": getattr(contract, name) for name in ("bound", "confidence")})
    mlflow.log_param("contract.error", contract.error.value)


def _tag(name: str, value: Any) -> None:
    import mlflow

    mlflow.set_tag(name, value)
