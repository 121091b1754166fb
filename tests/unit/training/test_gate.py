"""The gate: better on the same rows, and surely worse nowhere beyond the margin."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.compare import Scored, SegmentGain
from training.errors import NotComparableError
from training.evaluate import Interval
from training.explanation_budget import over_budget
from training.frame import USER
from training.gate import Gate, GateError, holds, judge, unlearned
from training.pipeline import TrainedModel
from training.segment_report import SegmentRows
from training.standing import standing_of
from training.tables import unjudged, verdict_table


def segment(name: str, rows: np.ndarray) -> SegmentRows:
    return SegmentRows(segmentation="primary", segment=name, name="", rows=rows)


def nudged(trained: TrainedModel, rows: np.ndarray, towards_truth: float) -> Scored:
    """The model with the log-odds of some rows moved towards (or, below 0, away from) their outcome."""
    scored = trained.review.model
    moved = scored.ranks + np.where(rows, towards_truth * np.where(trained.slices.test.outcomes, 1.0, -1.0), 0.0)
    return Scored(probabilities=1 / (1 + np.exp(-moved)), ranks=moved)


@pytest.mark.parametrize("metric", ["log_loss", "auc", "brier"])
def test_a_model_that_knows_more_passes_and_the_reverse_is_refused(trained: TrainedModel, metric: str) -> None:
    test = trained.slices.test
    everyone = np.ones(len(test.rows), dtype=bool)
    plain, better = nudged(trained, everyone, 0.0), nudged(trained, everyone, 0.5)
    gate, segments = Gate(metric=metric), [segment("all", everyone)]
    assert judge(better, plain, test=test, segments=segments, gate=gate).passed
    refused = judge(plain, better, test=test, segments=segments, gate=gate)
    assert not refused.passed
    assert "not shown to be better" in refused.because


def test_the_same_model_again_is_not_better(trained: TrainedModel) -> None:
    model = trained.review.model
    verdict = judge(model, model, test=trained.slices.test, segments=trained.review.segments, gate=Gate(metric="auc", confidence=0.8))
    assert not verdict.passed
    assert verdict.gain.value == verdict.gain.high == 0


def test_better_on_the_whole_does_not_excuse_a_segment_that_is_surely_worse(trained: TrainedModel) -> None:
    test = trained.slices.test
    few = np.arange(len(test.rows)) % 5 == 0
    everyone = np.ones(len(test.rows), dtype=bool)
    plain = nudged(trained, everyone, 0.0)
    moved = nudged(trained, ~few, 1.0).ranks + nudged(trained, few, -0.8).ranks - plain.ranks
    mixed = Scored(probabilities=1 / (1 + np.exp(-moved)), ranks=moved)
    segments = [segment("few", few), segment("others", ~few)]
    verdict = judge(mixed, plain, test=test, segments=segments, gate=Gate())
    assert verdict.gain.low > 0
    assert not verdict.passed
    assert "in segment primary/few" in verdict.because
    assert verdict_table(verdict)["holds"].tolist() == [True, False, True]
    assert judge(mixed, plain, test=test, segments=segments, gate=Gate(margin=5.0)).passed
    assert judge(mixed, plain, test=test, segments=segments, gate=Gate(min_rows=len(test.rows))).passed  # too few to be judged


def test_segments_that_are_too_small_are_named_with_their_sizes_and_not_judged(trained: TrainedModel) -> None:
    test = trained.slices.test
    everyone = np.ones(len(test.rows), dtype=bool)
    handful = np.arange(len(test.rows)) < 12
    model = nudged(trained, everyone, 0.0)
    verdict = judge(model, model, test=test, segments=[segment("all", everyone), segment("handful", handful)], gate=Gate())
    assert verdict_table(verdict)["holds"].tolist() == [False, True, "not judged"]
    users = test.rows[USER][handful].nunique()
    assert f"fewer than 100 rows or 30 users, or without a figure: primary/handful (12 rows, {users} users)." in unjudged(verdict)
    assert unjudged(judge(model, model, test=test, segments=[segment("all", everyone)], gate=Gate())) == ""


def gained(value: float, half_width: float) -> SegmentGain:
    interval = Interval(value=value, low=value - half_width, high=value + half_width)
    return SegmentGain(segmentation="primary", segment="s", over="champion", metric="log_loss", rows=400, users=100, gain=interval)


@settings(deadline=None)
@given(value=st.floats(-0.1, 0.1), half_width=st.floats(0, 0.1))
def test_whoever_is_worse_beyond_a_margin_that_can_be_seen_is_refused_and_others_only_where_sure(value: float, half_width: float) -> None:
    """A segment in which the margin is no smaller than the interval's half is refused by its figure alone, as one would wish."""
    each, gate = gained(value, half_width), Gate()
    if half_width < gate.margin:
        assert holds(each, gate) == (value >= -gate.margin)
    elif not holds(each, gate):
        assert each.gain.high < 0


def test_segments_too_small_to_show_a_loss_beyond_the_margin_are_named(trained: TrainedModel) -> None:
    model, test = trained.review.model, trained.slices.test
    verdict = judge(model, model, test=test, segments=[], gate=Gate())
    assert unjudged(replace(verdict, segments=[gained(0.0, 0.005), gained(-0.03, 0.005)])) == ""
    said = unjudged(replace(verdict, segments=[gained(0.001, 0.02), gained(-0.02, 0.03)]))
    assert said == "Too few to say whether it is worse by more than 0.01: primary/s (400 rows, 100 users), primary/s (400 rows, 100 users)."


@pytest.mark.parametrize(("budget_ms", "passes"), [(2.0, False), (20.0, True), (0.0, True)])
def test_a_better_model_that_takes_too_long_to_explain_is_refused(trained: TrainedModel, budget_ms: float, *, passes: bool) -> None:
    test = trained.slices.test
    everyone = np.ones(len(test.rows), dtype=bool)
    plain, better = nudged(trained, everyone, 0.0), nudged(trained, everyone, 0.5)
    verdict = judge(better, plain, test=test, segments=[], gate=Gate(explanation_budget_ms=budget_ms), one_row_ms=10.55)
    assert verdict.passed == passes
    assert ("one explanation takes 10.55 ms" in verdict.because) != passes
    assert verdict_table(verdict)["holds"].tolist() == [True, passes]
    first = standing_of(None, None, "auto", slow=over_budget(10.55, budget_ms))
    assert first.alias == ("champion" if passes else "challenger")  # nor may the first one that there is
    assert standing_of(None, None, "always", slow=over_budget(10.55, budget_ms)).alias == "champion"


def test_a_segment_that_only_looks_worse_by_chance_holds(trained: TrainedModel) -> None:
    test = trained.slices.test
    everyone = np.ones(len(test.rows), dtype=bool)
    rng = np.random.default_rng(0)
    plain = trained.review.model
    noisy = Scored.by(np.clip(plain.probabilities + rng.normal(0, 0.02, len(everyone)), 0.001, 0.999))
    verdict = judge(noisy, plain, test=test, segments=[segment("all", everyone)], gate=Gate(margin=0.0))
    assert verdict.segments[0].gain.high >= 0 or not holds(verdict.segments[0], verdict.gate)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"metric": "f1"}, "metric is 'f1'"),
        ({"confidence": 1.5}, "confidence"),
        ({"margin": -1.0}, "margin"),
        ({"explanation_budget_ms": -1.0}, "explanation_budget_ms"),
    ],
)
def test_a_gate_that_cannot_hold_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(GateError, match=said):
        Gate(**wrong)


def test_rows_that_a_model_has_learned_from_are_left_out(trained: TrainedModel, tmp_path) -> None:
    from models.bundle import load_bundle, write_bundle

    bundle = load_bundle(write_bundle(tmp_path / "bundle", trained.content))
    test = trained.slices.test
    assert unlearned(test, {"mine": bundle}).all()  # the gap between the slices is as long as the horizon
    last = test.rows["as_of"].max() - timedelta(days=3)
    about = {
        **bundle.about,
        "slices": {**bundle.about["slices"], "calibration": {"to": last.isoformat(timespec="minutes")}},
        "horizon_s": 86400,
    }
    later = unlearned(test, {"mine": bundle, "theirs": replace(bundle, about=about)})
    assert 0 < later.sum() < len(later)
    assert test.rows["as_of"][later].min() >= last + timedelta(days=1) - timedelta(minutes=1)
    with pytest.raises(NotComparableError, match="theirs has learned from outcomes known until"):
        unlearned(test, {"theirs": replace(bundle, about=about | {"horizon_s": 30 * 86400})})
