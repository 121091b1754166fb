"""Any registered version or run beside the champion, on the present log: what ``evaluate`` does, and what ``promote`` judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from features.core.product import Product
from features.home import Home
from models.bundle import Bundle
from training.bounds import require_seed
from training.dataset import build_frame, label_source
from training.errors import NotComparableError
from training.frame import TrainingFrame
from training.freshness import Look, require_fresh_log
from training.gate import Gate, Verdict, judge, unlearned
from training.horizons import HorizonFigures, horizon_figures
from training.note import horizon_parts, review_parts, verdict_parts
from training.pipeline import Report, say_nothing
from training.provenance import note_rows
from training.record_review import describe_run, record_review, record_verdict
from training.registry import CHAMPION as CHAMPION_ALIAS
from training.registry import Champion, Loaded, champion_of, load_model
from training.review import CHAMPION, Review, baselines, bundle_scored, explain_sample, known_stability, review, with_alerts
from training.segment_report import segment_rows
from training.split import Slices, require_gaps, split_by_time
from training.stages import mlflow_stage
from training.tracked import tracked_run
from training.tracking import prepare_tracking


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """A model, the champion and the baselines on the same rows."""

    model: Loaded
    champion: Champion | None  # None where there is none, or the model is the champion
    test: TrainingFrame  # rows that neither has learned from
    review: Review
    verdict: Verdict | None  # None where there is no champion to compare with


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A comparison that was recorded in MLflow."""

    found: SideBySide
    run_id: str
    tracking_uri: str


def compare(
    frame: TrainingFrame, model: Loaded, champion: Champion | None = None, *, gate: Gate | None = None, seed: int = 0
) -> SideBySide:
    """Score the latest rows of a frame with the model, the champion and the baselines: a plain function over a DataFrame.

    The frame is cut as for training; the baselines learn from its earlier slices. Test rows that the model or the champion has learned
    from are left out.

    Parameters
    ----------
    model, champion
        As ``training.registry.load_model`` and ``champion_of`` give them.
    seed
        Of the baselines.

    Raises
    ------
    NotComparableError
        If too few rows remain that neither has learned from.
    """
    if champion is not None and model.version is not None and champion.version.version == model.version.version:
        champion = None  # it would be compared with itself
    require_seed(seed)
    slices, champion = _unseen(frame, model, champion)
    found = _reviewed(slices, model.bundle, None if champion is None else champion.bundle, seed=seed)
    verdict = None
    if CHAMPION in found.scored:
        verdict = judge(
            found.model,
            found.scored[CHAMPION],
            test=slices.test,
            segments=found.segments,
            gate=gate or Gate(),
            one_row_ms=found.causes.one_row_ms,
        )
    return SideBySide(model=model, champion=champion, test=slices.test, review=found, verdict=verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What may be chosen for a comparison.

    Raises
    ------
    BadInputError
        If the seed is out of its range.
    """

    model: str = CHAMPION_ALIAS  # number, alias, models:/<name>/<version>, models:/<name>@<alias>, or runs:/<run id>
    labels: str | None = None  # as for `training.dataset.build_frame`
    seed: int = 0
    gate: Gate | None = None
    look: Look | None = None  # when one looks, and how old the log may be; None: any age

    def __post_init__(self) -> None:
        require_seed(self.seed)

    @property
    def product_dir(self) -> Path | None:
        """Folder with the policy that stands beside the product, where it is known."""
        return None if self.look is None else self.look.product_dir


def evaluate_model(product: Product, home: Home, asked: Asked | None = None, *, report: Report = say_nothing) -> Assessment:
    """Evaluate a registered version, or a run's model, on everything imported so far, beside the champion, as an MLflow run of its own.

    Raises
    ------
    UnknownVersionError
        If there is no such model.
    TrainingError
        As `compare` and ``training.dataset.build_frame``.
    """
    asked = asked or Asked()
    uri = prepare_tracking()
    with tracked_run(product, "evaluate", product_dir=asked.product_dir, title=f"evaluate {asked.model}") as run_id:
        found = assess(product, home, asked, run_id=run_id, report=report)
    return Assessment(found=found, run_id=run_id, tracking_uri=uri)


def assess(product: Product, home: Home, asked: Asked, *, run_id: str, report: Report = say_nothing) -> SideBySide:
    """Compare, and record it in the active run."""
    with mlflow_stage("load"):
        model, champion = load_model(product, asked.model), champion_of(product)
    with mlflow_stage("dataset") as note:
        require_fresh_log(product, home, asked.look)
        frame = build_frame(product, home, labels=asked.labels, report=report)
        note({"rows": len(frame.rows)})
    report("evaluating", 0.0)
    with mlflow_stage("evaluate"):
        found = compare(frame, model, champion, gate=asked.gate, seed=asked.seed)
    horizons = _horizons(product, home, found, asked.labels)
    report("evaluating", 1.0)
    _record(found, horizons, run_id=run_id, source=home.raw_dir(product.name))
    return found


def _unseen(frame: TrainingFrame, model: Loaded, champion: Champion | None) -> tuple[Slices, Champion | None]:
    """Slices whose test rows neither model has learned from; a champion that cannot be compared stays, without its bundle."""
    slices = split_by_time(frame)
    require_gaps(slices)
    bundles: Mapping[str, Bundle] = {model.label: model.bundle}
    rows = unlearned(slices.test, bundles)
    if champion is not None and champion.bundle is not None:
        try:
            rows = unlearned(slices.test, {**bundles, f"champion {champion.version.version}": champion.bundle})
        except NotComparableError as exc:
            champion = replace(champion, bundle=None, unusable=str(exc))
    return replace(slices, test=slices.test.at(np.flatnonzero(rows))), champion


def _reviewed(slices: Slices, model: Bundle, champion: Bundle | None, *, seed: int) -> Review:
    test = slices.test
    others = {} if champion is None else {CHAMPION: bundle_scored(champion, test)}
    vectors = test.vectors if model.columns is None else test.vectors[:, model.columns]
    found = review(
        test,
        bundle_scored(model, test),
        others | baselines(slices, seed=seed),
        segments=segment_rows(test, model.segment_model, vectors),
        causes=explain_sample(model.model, model.signature.encode(vectors, test.profiles()), model.causes),
    )
    return replace(with_alerts(found, test), stability=known_stability(model=model, champion=champion))


def _horizons(product: Product, home: Home, found: SideBySide, labels: str | None) -> list[HorizonFigures]:
    if label_source(product, labels) is not None:
        return []
    with mlflow_stage("horizons"):
        return horizon_figures(product, home, found.test, found.review.scored)


def _record(found: SideBySide, horizons: list[HorizonFigures], *, run_id: str, source: Path) -> None:
    import mlflow

    mlflow.set_tags(_facts(found))
    note_rows(found.test, "evaluation", source)
    record_review(found.review, found.test, horizons, beside=None if found.champion is None else found.champion.version.version)
    if found.verdict is not None:
        record_verdict(found.verdict)
    describe_run(run_id, assessment_note(found, horizons))


def _facts(found: SideBySide) -> dict[str, str]:
    return {
        "stillhere.model": found.model.label,
        "stillhere.compared_with": "nobody" if found.champion is None else found.champion.version.version,
    }


def assessment_note(found: SideBySide, horizons: list[HorizonFigures]) -> str:
    """What the run's page says, in Markdown."""
    champion = found.champion
    title = f"{found.model.label.capitalize()} on the present log."
    if champion is not None and champion.bundle is None:
        title += f" Champion version {champion.version.version} could not be compared: {champion.unusable}."
    if found.verdict is not None:
        title += f" Against the champion: {found.verdict.because}."
    parts = review_parts(found.review, found.test, beside=None if champion is None else champion.version.version)
    return "\n\n".join([title, *parts, *verdict_parts(found.verdict), *horizon_parts(horizons)]) + "\n"
