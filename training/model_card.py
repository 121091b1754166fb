"""A page in Markdown about one model: what it is for, how good it is, what it is not."""

from __future__ import annotations

import math
from collections.abc import Mapping

from features.core.product import Product
from training.evaluate import Evaluation, Interval
from training.pipeline import TrainedModel
from training.review import MODEL

_SHOWN = ("auc", "average_precision", "brier", "log_loss", "ece", "calibration_slope")


def model_card(trained: TrainedModel, facts: Mapping[str, str]) -> str:
    """Write the card; ``facts`` are fingerprints, hashes and versions, by name."""
    product = trained.slices.train.product
    parts = [
        f"# Risk of dropout, product `{product.name}`",
        _intended_use(trained, product),
        "## Figures on the test slice, the latest rows\n\n" + _figures(trained.review.evaluations),
        _gain(trained.review.gain_over_recency),
        "## Slices\n\n" + _slices(trained),
        "## Causes\n\n" + _causes(trained),
        "## Segments\n\n" + _segments(trained),
        _LIMITS,
        "## Provenance\n\n" + "\n".join(f"- {name}: `{value}`" for name, value in facts.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _intended_use(trained: TrainedModel, product: Product) -> str:
    horizon = trained.slices.train.horizon
    activity = ", ".join(product.label.activity) or "as given by the label file"
    return (
        "## Intended use\n\n"
        f"P(no activity within {horizon.days} days | the user's timeline and profile at an instant), for choosing whom to offer help, by a"
        f" policy with caps, consent and quiet hours. Activity: {activity}.\n\n"
        f"LightGBM, {trained.fitted.rounds} trees of depth <= {trained.parameters.max_depth}; calibration:"
        f" {trained.calibration.calibration.method.value}. {_calibration(trained.calibration.log_loss)}\n"
        f"One explanation takes {trained.review.causes.one_row_ms:.2f} ms (median)."
    )


def _calibration(log_loss: Mapping[str, float]) -> str:
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in log_loss.items())
    if len(log_loss) == 1:
        return (
            f"Log loss on the later half of the calibration slice: {losses}; too few outcomes were known before that half began to"
            " compare it with any map."
        )
    return (
        f"Log loss on the later half of the calibration slice, each map fitted on rows of the earlier half whose outcomes were known"
        f" before it began: {losses}. The chosen map was then fitted on the whole slice."
    )


def _figures(evaluations: Mapping[str, Evaluation]) -> str:
    """One row per scorer; intervals are 95 %, bootstrapped by user."""
    header = "| scorer | " + " | ".join(_SHOWN) + " |\n" + "|---" * (1 + len(_SHOWN)) + "|"
    rows = [f"| {name} | " + " | ".join(_cell(e.figures[shown]) for shown in _SHOWN) + " |" for name, e in evaluations.items()]
    return "\n".join([header, *rows, "", f"Intervals: 95 %, bootstrap by user. `{MODEL}` is this one."])


def _cell(interval: Interval) -> str:
    if math.isnan(interval.value):
        return "-"
    return f"{interval.value:.4f}" if math.isnan(interval.low) else str(interval)


def _gain(gain: Interval | None) -> str:
    if gain is None:
        return "The catalogue has no seconds_since_last feature, so recency alone could not be measured."
    verdict = "better than" if gain.low > 0 else "not shown to be better than"
    return f"AUC gain over recency alone, paired: {gain}. The model is {verdict} recency alone."


def _slices(trained: TrainedModel) -> str:
    rows = [
        f"| {name} | {s['rows']} | {s['users']} | {s['dropout_rate']:.3f} | {s['from']} | {s['to']} |"
        for name, s in trained.content.about["slices"].items()
    ]
    note = "Ordered by as_of, with a gap of one horizon between slices. A user may be in several slices, as in use; intervals are by user."
    return "\n".join(["| slice | rows | users | dropout rate | from | to |", "|---|---|---|---|---|---|", *rows, "", note])


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
        for f in trained.segment_figures
    ]
    header = "| segmentation | segment | what stands out | share | dropout rate | mean risk | AUC |\n|---|---|---|---|---|---|---|"
    return "\n".join([how, "", header, *rows]) if rows else how


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


_LIMITS = """## Limits

- **Risk is not uplift.** A high risk says who is likely to drop out, not whom a message would keep; only a randomised experiment says that.
- A cause is an attribution of the *model's* score (TreeSHAP), not proof of why a person leaves.
- The figures are of one log and one span of time. Where the product or its users change, measure again and retrain.
- An outcome counts as dropout when no declared activity follows within the horizon; somebody who comes back later still counts."""
