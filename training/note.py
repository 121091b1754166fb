"""What the page of a run says in words: is it better, for whom, and how sure is that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from training.compare import SegmentGain
from training.evaluate import Interval
from training.frame import AS_OF, USER, TrainingFrame
from training.gate import Verdict
from training.horizons import HorizonFigures
from training.pipeline import TrainedModel
from training.review import CHAMPION, LOGISTIC, RECENCY, Review
from training.standing import Standing
from training.tables import as_markdown, horizon_table, scorer_table, verdict_table

_SHORT = {"log_loss": "log loss", "auc": "AUC", "brier": "Brier score"}


def training_note(trained: TrainedModel, standing: Standing, version: str, horizons: Sequence[HorizonFigures]) -> str:
    """Describe a training run and the version that it registered, in Markdown."""
    title = f"**Version {version} is {standing.alias}**: {standing.because}."
    parts = review_parts(trained.review, trained.slices.test, beside=standing.replaces)
    return "\n\n".join([title, *parts, *verdict_parts(standing.verdict), *horizon_parts(horizons)]) + "\n"


def review_parts(review: Review, test: TrainingFrame, *, beside: str | None) -> Iterator[str]:
    """Paragraphs: better than whom, for whom, and the table of all scorers.

    Parameters
    ----------
    beside
        Version of the champion that the model is compared with; None without one.
    """
    names = {CHAMPION: f"the champion (version {beside})", LOGISTIC: "logistic regression", RECENCY: "recency alone"}
    yield "### Is it better, and am I sure?"
    yield "\n".join(_sentence(names[over], gains) for over, gains in review.gains.items() if over in names)
    yield "### For whom?"
    yield from _for_whom(review.segment_gains, CHAMPION if CHAMPION in review.scored else RECENCY, names)
    yield "### Everything on the same rows"
    yield as_markdown(scorer_table(review))
    yield _rows_in_words(test)


def verdict_parts(verdict: Verdict | None) -> Iterator[str]:
    """Paragraphs on the gate; none where nobody was compared."""
    if verdict is None:
        return
    gate = verdict.gate
    yield f"### The gate: {gate.metric} better with {gate.confidence:.0%} confidence, no segment worse by more than {gate.margin}"
    yield as_markdown(verdict_table(verdict).fillna(""))


def horizon_parts(horizons: Sequence[HorizonFigures]) -> Iterator[str]:
    """Paragraphs on other horizons; none where there are no figures."""
    if horizons:
        yield "### Other horizons"
        yield as_markdown(horizon_table(horizons))


def in_words(gain: Interval) -> str:
    """Say what an interval of a gain shows.

    Examples
    --------
    >>> in_words(Interval(value=0.02, low=0.01, high=0.03)), in_words(Interval(value=0.02, low=-0.01, high=0.05))
    ('better', 'not told apart')
    """
    if gain.low > 0:
        return "better"
    return "worse" if gain.high < 0 else "not told apart"


def _sentence(name: str, gains: Mapping[str, Interval]) -> str:
    parts = [f"{_SHORT[metric]} {_gain(gain)} ({in_words(gain)})" for metric, gain in gains.items()]
    return f"- Over **{name}**: {'; '.join(parts)}."


def _rows_in_words(test: TrainingFrame) -> str:
    begin, end = test.rows[AS_OF].min(), test.rows[AS_OF].max()
    rows = f"{len(test.rows)} rows of {test.rows[USER].nunique()} users, {begin:%Y-%m-%d} to {end:%Y-%m-%d}, the latest ones"
    return (
        f"{rows}; neither model has learned from them. Brackets: 95 % intervals, bootstrap by user. A gain above 0 means that the model is"
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
    return f"| {where} | {each.rows} | {each.users} | {_gain(each.gain)} | {in_words(each.gain)} |"


def _gain(gain: Interval) -> str:
    return f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
