"""A page in Markdown about one model: what it is for, how good it is, what it is not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from features.core.product import Product
from models.calibration import CalibrationMethod
from models.signature import Signature
from training.calibrate import CalibrationChoice, ComparedBy
from training.cohorts import PriorCorrection
from training.leaks import said_of_too_good
from training.levels import LevelChoice
from training.note import review_parts
from training.pipeline import TrainedModel
from training.registry import Champion
from training.standing import Standing
from training.tables import as_markdown, cohort_table
from training.timing.run import said_of_response, table_of

_MOST_NAMES = 12


def model_card(trained: TrainedModel, facts: Mapping[str, str], *, standing: Standing | None = None) -> str:
    """Write the card; ``facts`` are fingerprints, hashes and versions, by name."""
    product, champion = trained.slices.train.product, trained.champion
    beside = None if champion is None else champion.version.version
    parts = [
        f"# Risk of dropout, product `{product.name}`",
        *([] if standing is None else [f"It was trained to become **{standing.alias}**: {standing.because}."]),
        _intended_use(trained, product),
        *([f"## Looks too good\n\nThis {said_of_too_good(trained.too_good)}."] if trained.too_good else []),
        "## Figures on the test slice, the latest rows",
        *review_parts(trained.review, trained.slices.test, beside=beside),
        "## What changed against the champion",
        changes(trained.content.signature, trained.content.about, trained.champion),
        "## Slices\n\n" + _slices(trained),
        "## Base rate between weeks of joining\n\n" + _cohorts(trained.calibration),
        *([] if trained.calibration.levels is None else ["## Levels of cohorts\n\n" + _levels(trained.calibration.levels, trained)]),
        "## When people come back\n\n" + _timing(trained),
        "## Causes\n\n" + _causes(trained),
        "## Segments\n\n" + _segments(trained),
        _LIMITS,
        "## Provenance\n\n" + "\n".join(f"- {name}: `{value}`" for name, value in facts.items()),
    ]
    return "\n\n".join(parts) + "\n"


def changes(signature: Signature, about: Mapping[str, Any], champion: Champion | None) -> str:
    """What differs from the champion: features, attributes, spans of the rows, horizon; a sentence where there is nobody to differ from."""
    if champion is None:
        return "There was no champion: this is the first model."
    if champion.bundle is None:
        return f"Champion version {champion.version.version} could not be compared: {champion.unusable}."
    theirs, before = champion.bundle.signature, champion.bundle.about
    lines = [
        f"Against version {champion.version.version} (MLflow run `{champion.version.run_id}`):",
        "",
        _difference("inputs", set(signature.input_names), set(theirs.input_names)),
        _difference("definitions", set(signature.definitions), set(theirs.definitions)),
        f"- horizon: {_days(before)} then, {_days(about)} now",
    ]
    for name in ("train", "stop", "calibration", "test"):
        then, now = before.get("slices", {}).get(name), about["slices"][name]
        if then is not None:
            lines.append(
                f"- {name}: {then['rows']} rows to {then['to'][:10]}, dropout rate {then['dropout_rate']:.3f} then;"
                f" {now['rows']} rows to {now['to'][:10]}, {now['dropout_rate']:.3f} now"
            )
    return "\n".join(lines)


def _difference(what: str, ours: set[str], theirs: set[str]) -> str:
    if ours == theirs:
        return f"- {what}: the same {len(ours)}"
    gained, lost = sorted(ours - theirs), sorted(theirs - ours)
    return f"- {what}: {len(ours)}; new: {_some(gained)}; gone: {_some(lost)}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_MOST_NAMES])
    return (shown or "none") + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


def _days(about: Mapping[str, Any]) -> str:
    seconds = about.get("horizon_s")
    return "unknown" if seconds is None else f"{seconds / 86400:g} days"


def _intended_use(trained: TrainedModel, product: Product) -> str:
    horizon = trained.slices.train.horizon
    activity = ", ".join(product.label.activity) or "as given by the label file"
    return (
        "## Intended use\n\n"
        f"P(no activity within {horizon.days} days | the user's timeline and profile at an instant), for choosing whom to offer help, by a"
        f" policy with caps, consent and quiet hours. Activity: {activity}.\n\n"
        f"LightGBM, {trained.fitted.rounds} trees of depth <= {trained.parameters.max_depth}; calibration:"
        f" {said_of_calibration(trained.calibration)}\n"
        f"One explanation takes {trained.review.causes.one_row_ms:.2f} ms (median)."
    )


_COMPARED_BY = {
    ComparedBy.LATER_HALF: "on its later half, each map fitted on rows of the earlier half whose outcomes were known before it began",
    ComparedBy.USER_FOLDS: "by folds of users, each map fitted on the rows of the others, since too few outcomes of its earlier half were"
    " known before the later half began",
    ComparedBy.COHORTS: "by cohorts, each map fitted on the rows of the others",
}


def said_of_calibration(choice: CalibrationChoice) -> str:
    """Which map was chosen, on which rows the maps were compared, and what each lost there."""
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in choice.log_loss.items())
    chosen = choice.calibration.method.value
    if choice.compared_by is ComparedBy.NOTHING:
        return (
            f"{chosen}, compared with no map: the calibration slice has too few users, too few rows or one outcome alone to fit on."
            f" Log loss on it: {losses}."
        )
    refitted = "" if choice.calibration.method is CalibrationMethod.NONE else " The chosen map was then fitted on the whole slice."
    return f"{chosen}. Log loss on the calibration slice, compared {_COMPARED_BY[choice.compared_by]}: {losses}.{refitted}"


def _slices(trained: TrainedModel) -> str:
    rows = [
        f"| {name} | {s['rows']} | {s['users']} | {s['dropout_rate']:.3f} | {s['from']} | {s['to']} |"
        for name, s in trained.content.about["slices"].items()
    ]
    note = "Ordered by as_of, with a gap of one horizon between slices. A user may be in several slices, as in use; intervals are by user."
    return "\n".join(["| slice | rows | users | dropout rate | from | to |", "|---|---|---|---|---|---|", *rows, "", note])


def _cohorts(choice: CalibrationChoice) -> str:
    """What was measured on the calibration slice, and what is done about it."""
    correction = choice.correction
    if correction is None or not correction.drift:
        return "Not measured."
    table = as_markdown(cohort_table(correction.drift))
    if len(correction.drift) == 1:
        return f"The calibration slice holds one week of joining only: there is nothing to compare, and nothing is corrected.\n\n{table}"
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in correction.log_loss.items())
    applied = (
        "None is applied: none was better by more than a standard error over cohorts."
        if correction.correction is PriorCorrection.NONE
        else f"Applied: **{correction.correction.value}**, a shift of {correction.shift:+.3f} log-odds."
    )
    return (
        f"Beyond noise, weeks differ by a standard deviation of {math.sqrt(correction.prior.between_variance):.3f} log-odds."
        f" Log loss by correction, each week left out in turn: {losses}. {applied}\n\n{table}"
    )


def _levels(choice: LevelChoice, trained: TrainedModel) -> str:
    """What cohorts' own mature outcomes say of their level, and whether it is served."""
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in choice.log_loss.items())
    measured = f"By `{trained.slices.test.product.cohort}`, each by its own mature outcomes; log loss on the calibration slice: {losses}."
    if trained.content.levels is None:
        return f"{measured} Not applied: not better by more than a standard error over cohorts."
    shifts = ", ".join(f"{cohort} {shift:+.2f}" for cohort, shift in sorted(trained.content.levels.shifts.items()))
    return f"{measured} Applied, in log-odds: {shifts}."


def _timing(trained: TrainedModel) -> str:
    if trained.timing is None:
        return f"Not learned: {trained.no_timing or 'it was not asked for'}."
    response = said_of_response(trained.timing.model.response, trained.no_response)
    plots = "Plots and the part itself are in the nested run `timing`."
    return f"{table_of(trained.timing.figures)}\nResponse to delays: {response}.\n\n{plots}"


def _causes(trained: TrainedModel) -> str:
    causes = trained.review.causes
    sizes = dict(zip(causes.names, abs(causes.sums).mean(axis=0).tolist(), strict=True))
    ordered = sorted(sizes.items(), key=lambda item: -item[1])
    return "\n".join(["Mean |log-odds| that each cause adds:", "", *(f"- {name}: {size:.3f}" for name, size in ordered)])


def _segments(trained: TrainedModel) -> str:
    learned = trained.segments
    how = "None were learned: behaviour was too little, or too much alike."
    if learned is not None:
        tried = ", ".join(f"{score.k}: {score.silhouette:.3f}" for score in learned.scores)
        kept = ", ".join(learned.kept) or "none"
        how = f"Learned by k-means, k = {learned.k} (silhouette by k: {tried}). Ids kept from the champion: {kept}."
    rows = [
        f"| {f.segmentation} | {f.segment} | {f.name} | {f.share:.3f} | {f.dropout_rate:.3f} | {f.mean_risk:.3f} | {_number(f.auc)} |"
        for f in trained.review.segment_figures
    ]
    header = "| segmentation | segment | what stands out | share | dropout rate | mean risk | AUC |\n|---|---|---|---|---|---|---|"
    return "\n".join([how, "", header, *rows]) if rows else how


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


_LIMITS = """## Limits

- **Risk is not uplift.** A high risk says who is likely to drop out, not whom a message would keep; only a randomised experiment says that.
- A cause is an attribution of the *model's* score (TreeSHAP), not proof of why a person leaves.
- It scores users of this product, with a timeline of declared events. It is not for users of another product, nor for decisions that
  withhold something from a person, such as credit, price or access.
- The figures are of one log and one span of time. Where the product or its users change, measure again and retrain.
- An outcome counts as dropout when no declared activity follows within the horizon; somebody who comes back later still counts."""
