"""One training run from a raw log to the registry: the only place where the pipeline meets Feast and MLflow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from features.core.product import Product
from features.home import Home
from training.bounds import require_seed, require_whole
from training.cause_stability import with_cause_stability
from training.dataset import build_frame, label_source
from training.errors import BadInputError
from training.explanation_budget import over_budget
from training.fit import FitParameters
from training.frame import TrainingFrame
from training.freshness import Look, require_fresh_log
from training.gate import Gate, Verdict, judge
from training.horizons import HorizonFigures, horizon_figures
from training.note import training_note
from training.pipeline import Report, TrainedModel, say_nothing, train_model, with_about
from training.provenance import policy_of
from training.record import record
from training.record_review import describe_run
from training.register import Registration, registered
from training.registry import Champion, champion_of
from training.review import CHAMPION, MODEL
from training.stages import mlflow_stage
from training.standing import Promotion, Standing, standing_of, take_place
from training.timing.beside_risk import Zones, with_timing
from training.timing.trial_log import read_trial
from training.tracked import tracked_run
from training.tracking import name_run, prepare_tracking
from training.tune import Search, require_timeout
from training.tuning_run import tune_frame

if TYPE_CHECKING:
    import pandas as pd

    from serving.decision.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may be chosen for a run.

    Raises
    ------
    BadInputError
        If a number is out of its range.
    """

    fit: FitParameters = field(default_factory=FitParameters)
    labels: str | None = None  # as for `training.dataset.build_frame`
    tune_trials: int = 0  # trials to search parameters with first, beginning from `fit`; 0: none
    tune_timeout_s: float = 600.0
    timing: bool = True  # learn also when people come back, see docs/timing.md
    trial: Path | None = None  # decisions with randomised delays, as for `training.timing.trial_log.read_trial`; None: none
    promote: Promotion = "auto"
    gate: Gate = field(default_factory=Gate)
    look: Look | None = None  # None: a log of any age, as from a notebook

    def __post_init__(self) -> None:
        require_whole("tune_trials", self.tune_trials, least=0, most=100_000, advice="0, the default, searches nothing")
        require_timeout("tune_timeout_s", self.tune_timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a successful run left behind."""

    registration: Registration
    standing: Standing
    run_id: str
    tracking_uri: str
    trained: TrainedModel


def train_product(
    product: Product,
    home: Home,
    *,
    product_dir: Path | None = None,
    seed: int = 0,
    options: Options | None = None,
    report: Report = say_nothing,
) -> Outcome:
    """Train on everything imported so far, record the run in MLflow, register the model, and make it champion if it may be.

    It becomes champion if there is none, or if it is better than the champion (`training.gate.judge`); else challenger. Giving it its
    place is the last step: a run that stops before leaves a failed run and nothing else, and the old champion goes on serving.

    Parameters
    ----------
    product_dir
        The product's folder, for the hash of its policy; None: no policy is recorded.

    Raises
    ------
    TrainingError
        If the log is empty, stale, too short, has no mature labels or only one outcome; the trial cannot be read;
        the seed is out of its range; or MLflow does not answer.
    """
    require_seed(seed)
    options, policy, trial = options or Options(), policy_of(product, product_dir), _trial(options)
    tracking_uri = prepare_tracking()
    report("preparing MLflow", 1.0)
    with tracked_run(product, "train", product_dir=product_dir) as run_id:
        champion, frame = _rows(product, home, options, report=report)
        parameters = _parameters(frame, options, seed=seed, report=report)
        trained = train_model(frame, parameters=parameters, seed=seed, report=report, champion=champion, stage=mlflow_stage)
        with mlflow_stage("cause stability"):
            trained = with_about(_with_stability(trained, policy, seed=seed, report=report), run_id=run_id)
        trained = _with_timing(trained, home, _zones(policy), (options, trial), seed=seed, report=report)
        horizons = _horizons(product, home, trained, options.labels)
        facts = _facts(product, trained, policy, seed=seed) | _trial_facts(options.trial)
        report("recording the run", 0.0)
        slow = over_budget(trained.review.causes.one_row_ms, options.gate.explanation_budget_ms)
        standing = standing_of(trained.champion, judge_trained(trained, options.gate), options.promote, slow=slow)
        model_uri = record(trained, facts, source=home.raw_dir(product.name), horizons=horizons, standing=standing)
        report("recording the run", 1.0)
        report("registering", 0.0)
        with mlflow_stage("register"):
            registration = _deliver(trained, standing, model_uri=model_uri, run_id=run_id, tags=facts, horizons=horizons)
        report("registering", 1.0)
        name_run(f"train v{registration.version} {standing.alias}")
    return Outcome(registration=registration, standing=standing, run_id=run_id, tracking_uri=tracking_uri, trained=trained)


def _rows(product: Product, home: Home, options: Options, *, report: Report) -> tuple[Champion | None, TrainingFrame]:
    """The champion as it is now, and the rows to learn from."""
    with mlflow_stage("dataset") as note:
        require_fresh_log(product, home, options.look)
        champion = champion_of(product)
        frame = build_frame(product, home, labels=options.labels, report=report)
        note({"rows": len(frame.rows), "dropout_rate": float(frame.outcomes.mean())})
    return champion, frame


def _parameters(frame: TrainingFrame, options: Options, *, seed: int, report: Report) -> FitParameters:
    if options.tune_trials == 0:
        return options.fit
    search = Search(base=options.fit, n_trials=options.tune_trials, timeout_s=options.tune_timeout_s, seed=seed, report=report)
    return tune_frame(frame, search).parameters  # nests a run for each trial


def judge_trained(trained: TrainedModel, gate: Gate) -> Verdict | None:
    """Judge a trained model against the champion on the test slice; None where there is no champion to compare it with."""
    review = trained.review
    if CHAMPION not in review.scored:
        return None
    return judge(
        review.model,
        review.scored[CHAMPION],
        test=trained.slices.test,
        segments=review.segments,
        gate=gate,
        one_row_ms=review.causes.one_row_ms,
    )


def _horizons(product: Product, home: Home, trained: TrainedModel, labels: str | None) -> list[HorizonFigures]:
    """Figures at other horizons; none where outcomes come from a labels log, since that log's events may end before them."""
    if label_source(product, labels) is not None:
        return []
    with mlflow_stage("horizons"):
        return horizon_figures(product, home, trained.slices.test, trained.review.scored)


def _deliver(
    trained: TrainedModel,
    standing: Standing,
    *,
    model_uri: str,
    run_id: str,
    tags: dict[str, str],
    horizons: list[HorizonFigures],
) -> Registration:
    """Say in the run what was found, register, and give the version its place: the last step."""
    note = training_note(trained, standing, horizons)
    describe_run(run_id, note)
    with registered(trained.content.product, model_uri, run_id=run_id, tags=tags, note=note) as registration:
        take_place(registration, standing)
    return registration


def _facts(product: Product, trained: TrainedModel, policy: Policy | None, *, seed: int) -> dict[str, str]:
    facts = {
        "product": product.name,
        "seed": str(seed),
        "feature_fingerprint": product.catalogue.fingerprint,
        "data_fingerprint": trained.slices.train.data_fingerprint,
        "rows_fingerprint": trained.slices.fitted.fingerprint(),
    }
    if trained.champion is not None:
        facts["compared_with"] = trained.champion.version.version
    if trained.too_good:
        facts["looks_too_good"] = ", ".join(f"{name} {alone:.4f}" for name, alone in trained.too_good.items())
    return facts if policy is None else facts | {"policy_hash": policy.hash}


def _with_stability(trained: TrainedModel, policy: Policy | None, *, seed: int, report: Report) -> TrainedModel:
    """Measure how stable the causes are that the policy's messages remedy; without a policy none is named, so none is measured."""
    if policy is None or not policy.actionable_causes:
        return trained
    trained = with_cause_stability(trained, policy.actionable_causes, seed=seed, report=report)
    found = trained.content.cause_stability
    return (
        trained if found is None else replace(trained, review=replace(trained.review, stability={MODEL: found, **trained.review.stability}))
    )


def _with_timing(
    trained: TrainedModel, home: Home, zones: Zones, chosen: tuple[Options, pd.DataFrame | None], *, seed: int, report: Report
) -> TrainedModel:
    options, trial = chosen
    if not options.timing:
        return replace(trained, no_timing="training was told to leave it out")
    report("learning when people come back", 0.0)
    with mlflow_stage("timing"):
        trained = with_timing(trained, home, zones=zones, seed=seed, labels=options.labels, trial=trial)
    report("learning when people come back", 1.0)
    return trained


def _zones(policy: Policy | None) -> Zones:
    return Zones() if policy is None else Zones(attribute=policy.timezone_attribute, default=policy.default_timezone)


def _trial(options: Options | None) -> pd.DataFrame | None:
    """The trial, read before anything is learned: a file that is not there ends the run at once."""
    if options is None or options.trial is None:
        return None
    if not options.timing:
        raise BadInputError(f"trial {options.trial}: given, but timing is false, expected true; leave one of them out")
    return read_trial(options.trial)


def _trial_facts(trial: Path | None) -> dict[str, str]:
    return {} if trial is None else {"trial_fingerprint": hashlib.sha256(trial.read_bytes()).hexdigest()[:16]}
