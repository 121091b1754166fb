"""What the page of a run says in words: is it better, for whom, and how sure is that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from training.compare import SegmentGain
from training.evaluate import Interval
from training.frame import AS_OF, USER, TrainingFrame
from training.gate import Verdict, is_judged
from training.horizons import HorizonFigures
from training.leaks import said_of_too_good
from training.pipeline import TrainedModel
from training.review import CHAMPION, LOGISTIC, RECENCY, Review
from training.standing import Standing
from training.tables import (
    alert_promise,
    alert_table,
    as_markdown,
    horizon_table,
    in_words,
    scorer_table,
    stability_table,
    unjudged,
    verdict_table,
)
from training.thresholds.alerts import Alerts

_HEADERS = {
    "average_precision": "average precision",
    "log_loss": "log loss",
    "calibration_slope": "calibration slope",
    "auc": "AUC",
    "brier": "Brier",
    "ece": "ECE",
} | {f"gain of the model: {metric}": f"gain, {name}" for metric, name in (("log_loss", "log loss"), ("auc", "AUC"), ("brier", "Brier"))}
_SHORT = {"log_loss": "log loss", "auc": "AUC", "brier": "Brier score"}


def training_note(trained: TrainedModel, standing: Standing, horizons: Sequence[HorizonFigures]) -> str:
    """Describe a training run and the version that it registers, in Markdown: what was found then, true whatever becomes of the version."""
    beside = (
        "trained without a champion" if standing.replaces is None else f"trained to be compared with champion version {standing.replaces}"
    )
    title = f"**{beside.capitalize()}**: {standing.because}. What the version is now, its aliases say."
    parts = review_parts(trained.review, trained.slices.test, beside=standing.replaces)
    warned = [f"**{said}.**" for said in [said_of_too_good(trained.too_good)] if said]
    return "\n\n".join([title, *warned, *parts, *verdict_parts(standing.verdict), *horizon_parts(horizons)]) + "\n"


def review_parts(review: Review, test: TrainingFrame, *, beside: str | None) -> Iterator[str]:
    """Paragraphs: better than whom, for whom, and the table of all scorers. The first lines are what MLflow shows unasked.

    Parameters
    ----------
    beside
        Version of the champion that the model is compared with; None without one.
    """
    names = {CHAMPION: f"the champion (version {beside})", LOGISTIC: "logistic regression", RECENCY: "recency alone"}
    yield "\n".join(_sentence(names[over], gains) for over, gains in review.gains.items() if over in names)
    yield "### For whom?"
    yield from _for_whom(review.segment_gains, CHAMPION if CHAMPION in review.scored else RECENCY, names)
    yield "### Everything on the same rows"
    yield as_markdown(scorer_table(review).rename(columns=_HEADERS))
    yield _rows_in_words(test)
    yield from alert_parts(review.alerts)
    yield from stability_parts(review)


def alert_parts(alerts: Alerts | None) -> Iterator[str]:
    """Paragraphs on whom the model may alert."""
    if alerts is None:
        return
    yield "### Whom to alert?"
    yield alert_promise(alerts)
    if alerts.solved is not None:
        yield as_markdown(alert_table(alerts))


def stability_parts(review: Review) -> Iterator[str]:
    """Paragraphs on how stable the causes are; none where they were not refitted."""
    if review.stability:
        yield "### Would another sample of users name the same cause?"
        yield as_markdown(stability_table(review.stability))
        yield "A cause is named only where it leads by its own least lead, and never without one; else the default message is sent."


def verdict_parts(verdict: Verdict | None) -> Iterator[str]:
    """Paragraphs on the gate; none where nobody was compared."""
    if verdict is None:
        return
    gate = verdict.gate
    yield f"### The gate {'passed' if verdict.passed else 'refused'}"
    judged = f"{sum(is_judged(each, gate) for each in verdict.segments)} of {len(verdict.segments)}"
    yield (
        f"It demands a gain in {gate.metric} whose interval at {gate.confidence:.0%} confidence lies above 0, and no segment that is surely"
        f" worse by more than {gate.margin}; judged are those of at least {gate.min_rows} rows and {gate.min_users} users, here {judged}."
        f" Found: {verdict.because}."
    )
    yield as_markdown(verdict_table(verdict))
    if small := unjudged(verdict):
        yield small


def horizon_parts(horizons: Sequence[HorizonFigures]) -> Iterator[str]:
    """Paragraphs on other horizons; none where there are no figures."""
    if horizons:
        yield "### Other horizons"
        yield as_markdown(horizon_table(horizons))


def _sentence(name: str, gains: Mapping[str, Interval]) -> str:
    parts = [f"{_SHORT[metric]} {gain.value:+.4f}, {between(gain)}: {in_words(gain)}" for metric, gain in gains.items()]
    return f"- Over **{name}**: {'; '.join(parts)}."


def between(gain: Interval) -> str:
    """Spell the interval of a gain without brackets, which Markdown may take for a link.

    Examples
    --------
    >>> between(Interval(value=0.02, low=-0.01, high=0.05))
    '-0.0100 to +0.0500'
    """
    return f"{gain.low:+.4f} to {gain.high:+.4f}"


def _rows_in_words(test: TrainingFrame) -> str:
    begin, end = test.rows[AS_OF].min(), test.rows[AS_OF].max()
    rows = f"{len(test.rows)} rows of {test.rows[USER].nunique()} users, {begin:%Y-%m-%d} to {end:%Y-%m-%d}, the latest ones"
    return (
        f"{rows}; neither model has learned from them. Intervals: 95 %, bootstrap by user. A gain above 0 means that the model is"
        " better; gains are paired: both scorers on the same samples of users."
    )


def _for_whom(gains: Sequence[SegmentGain], over: str, names: Mapping[str, str]) -> Iterator[str]:
    mine = [each for each in gains if each.over == over and each.metric == "log_loss"]
    if not mine:
        yield "No segments were learned or declared."
        return
    header = f"| segment | rows | users | log loss gain over {names[over]} | so it is |"
    rows = [_segment_row(each) for each in mine]
    yield "\n".join([header, "|---|---|---|---|---|", *rows])


def _segment_row(each: SegmentGain) -> str:
    where = f"{each.segmentation}/{each.segment}"
    return f"| {where} | {each.rows} | {each.users} | {each.gain.value:+.4f}, {between(each.gain)} | {in_words(each.gain)} |"
