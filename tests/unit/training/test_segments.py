"""Learned segments: planted groups are found, ids outlive a retraining, serving assigns as training did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.core.condition import Comparison, Condition
from features.core.product import Segment, Segmentation
from models.bundle import load_bundle, write_bundle
from models.segments import SegmentModel
from tests.unit.training import synthetic
from training.frame import TrainingFrame
from training.model_card import model_card
from training.pipeline import TrainedModel
from training.plots import segment_plot
from training.record import metrics
from training.record_review import review_metrics
from training.segment_ids import stable_ids
from training.segment_report import segment_figures
from training.segments import KS, LearnedSegments, learn_segments, scaled_inputs

NAMES = synthetic.product().catalogue.feature_names


def planted(
    frame: TrainingFrame, levels: dict[str, tuple[float, float, float]], *, seed: int, shift: float = 1.0
) -> tuple[TrainingFrame, np.ndarray]:
    """The frame's rows with made-up behaviour: groups as named in ``levels`` (logins, failures and clicks a day), and each row's group."""
    rng = np.random.default_rng(seed)
    frame = frame.at(np.arange(0, len(frame.rows), 6))
    group = rng.integers(0, len(levels), size=len(frame.rows))
    a_day = np.array(list(levels.values()))[group] * shift * rng.gamma(40.0, 1 / 40.0, size=(len(group), 3))
    rows = frame.rows.copy()
    for name in NAMES:
        if name.startswith("count"):
            kind, days = name.removeprefix("count_").rsplit("_", 1)
            rows[name] = rng.poisson(a_day[:, synthetic.KINDS.index(kind)] * int(days[:-1])).astype(float)
        else:
            rows[name] = 86_400.0 / (0.2 + a_day[:, 0]) if name.startswith("seconds") else np.minimum(14.0, 14 * a_day[:, 0])
    return replace(frame, rows=rows), group


LEVELS = {"idle": (0.2, 0.05, 0.1), "power": (4.0, 0.05, 20.0), "stuck": (0.5, 8.0, 0.5)}


@pytest.fixture(scope="module")
def learned(frame: TrainingFrame) -> LearnedSegments:
    found = learn_segments(planted(frame, LEVELS, seed=1)[0], seed=3)
    assert found is not None
    return found


def test_planted_groups_are_found_and_k_is_theirs(frame: TrainingFrame, learned: LearnedSegments) -> None:
    rows, group = planted(frame, LEVELS, seed=1)
    assert learned.k == len(LEVELS)
    assert [score.k for score in learned.scores] == list(KS)
    assert max(learned.scores, key=lambda score: score.silhouette).k == learned.k
    segment = learned.model.positions(rows.vectors)
    purest = sum(np.bincount(segment[group == g]).max() for g in range(len(LEVELS)))
    assert purest / len(group) > 0.99
    assert learned.model.ids == ("s1", "s2", "s3")
    assert learned.kept == ()


def test_names_say_what_stands_out(frame: TrainingFrame, learned: LearnedSegments) -> None:
    rows, group = planted(frame, LEVELS, seed=1)
    ids = np.array(learned.model.assign(rows.vectors))
    names = {segment.id: segment.name for segment in learned.model.segments}
    assert "high count_login_failed" in names[ids[group == 2][0]]
    assert all(part.split()[0] in ("high", "low") and part.split()[1] in NAMES for name in names.values() for part in name.split(", "))


def test_a_retraining_keeps_the_ids_of_users_whose_cluster_did_not_change(frame: TrainingFrame, learned: LearnedSegments) -> None:
    before, _ = planted(frame, LEVELS, seed=1)
    after, _ = planted(frame, LEVELS, seed=2, shift=1.1)
    again = learn_segments(after, seed=99, previous=learned.model)
    assert again is not None
    assert again.kept == learned.model.ids
    same = np.array(learned.model.assign(before.vectors)) == np.array(again.model.assign(before.vectors))
    assert same.mean() >= 0.95


def test_a_retraining_on_most_of_the_same_log_keeps_ids_where_groups_are_not_clear_cut(frame: TrainingFrame) -> None:
    frame = frame.at(np.arange(0, len(frame.rows), 4))
    first = learn_segments(frame, seed=1)
    assert first is not None
    for seed in (1, 2):
        kept = np.sort(np.random.default_rng(seed).permutation(len(frame.rows))[: int(0.9 * len(frame.rows))])
        again = learn_segments(frame.at(kept), seed=seed + 10, previous=first.model)
        assert again is not None
        assert set(again.kept) == set(first.model.ids)
        same = np.array(first.model.assign(frame.vectors)) == np.array(again.model.assign(frame.vectors))
        assert same.mean() >= 0.95


def test_a_new_group_gets_a_new_id_and_an_old_id_is_never_used_again(frame: TrainingFrame, learned: LearnedSegments) -> None:
    others = {**LEVELS, "explorer": (2.0, 0.1, 0.3)}
    del others["stuck"]
    again = learn_segments(planted(frame, others, seed=4)[0], seed=5, previous=learned.model)
    assert again is not None
    before = planted(frame, LEVELS, seed=1)
    gone = np.array(learned.model.assign(before[0].vectors))[before[1] == 2][0]
    assert gone not in again.model.ids
    assert "s4" in again.model.ids
    assert again.model.next_number >= 5
    back = learn_segments(before[0], seed=3, previous=again.model)
    assert back is not None
    assert gone not in back.model.ids
    assert set(back.model.ids) & {f"s{n}" for n in range(again.model.next_number, 20)}


def test_where_centres_moved_users_who_stayed_together_keep_their_id(frame: TrainingFrame, learned: LearnedSegments) -> None:
    later, _ = planted(frame, LEVELS, seed=6, shift=2.5)  # everybody is busier than before
    again = learn_segments(later, seed=7, previous=learned.model)
    assert again is not None
    assert set(again.kept) == set(learned.model.ids)
    same = np.array(learned.model.assign(later.vectors)) == np.array(again.model.assign(later.vectors))
    assert same.mean() >= 0.95


def test_a_champion_of_other_features_gives_no_ids(frame: TrainingFrame, learned: LearnedSegments) -> None:
    strangers = tuple(replace(entry, feature=f"other_{i}") for i, entry in enumerate(learned.model.inputs))
    names = tuple(entry.feature for entry in strangers)
    before = replace(learned.model, feature_names=names, inputs=strangers, next_number=8)
    ids, next_number = stable_ids(learned.model, before, planted(frame, LEVELS, seed=1)[0].vectors)
    assert (ids, next_number) == (["s8", "s9", "s10"], 11)


def test_a_new_feature_costs_no_id(frame: TrainingFrame, learned: LearnedSegments) -> None:
    gone = learned.model.inputs[0].feature
    names = tuple("older" if name == gone else name for name in learned.model.feature_names)
    inputs = (replace(learned.model.inputs[0], feature="older"), *learned.model.inputs[1:])
    before = replace(learned.model, feature_names=names, inputs=inputs)
    ids, _ = stable_ids(learned.model, before, planted(frame, LEVELS, seed=1)[0].vectors)
    assert ids == list(learned.model.ids)


def test_too_little_or_too_uniform_behaviour_has_no_segments(frame: TrainingFrame) -> None:
    assert learn_segments(frame.at(np.arange(100))) is None
    rows = frame.rows.copy()
    rows[list(NAMES)] = 1.0
    assert learn_segments(replace(frame, rows=rows)) is None
    rows["count_login_1d"] = np.arange(len(rows)) % 2
    rows["count_login_3d"] = np.arange(len(rows)) % 2
    assert learn_segments(replace(frame, rows=rows)) is None  # two kinds of row: k = 2 would say nothing


def test_never_counts_as_longest_ago_and_causes_weigh_alike(frame: TrainingFrame) -> None:
    vectors = frame.vectors.copy()
    recency = NAMES.index("seconds_since_last_use")
    vectors[:5, recency] = np.nan
    inputs = {entry.feature: entry for entry in scaled_inputs(vectors, frame.product)}
    assert inputs["seconds_since_last_use"].fill == np.nanmax(vectors[:, recency])
    model = SegmentModel(feature_names=NAMES, inputs=tuple(inputs.values()), segments=(), next_number=1)
    spread = model.points(vectors).var(axis=0)
    failed = np.array([name.startswith("count_login_failed") for name in inputs])
    np.testing.assert_allclose([spread[failed].sum(), spread[~failed].sum()], 1.0)
    assert "count_click_1d" not in inputs  # whether it was today


def test_the_bundle_assigns_as_training_did_one_user_at_a_time_or_all_at_once(trained: TrainedModel, tmp_path) -> None:
    assert trained.segments is not None
    bundle = load_bundle(write_bundle(tmp_path / "bundle", trained.content), trained.slices.test.product)
    vectors = trained.slices.test.vectors
    in_training = trained.segments.model.assign(vectors)
    assert bundle.segments(vectors) == in_training
    assert [bundle.segments(row.reshape(1, -1))[0] for row in vectors[:200]] == in_training[:200]
    assert bundle.segment_model == trained.segments.model


def test_scaling_goes_there_and_back(learned: LearnedSegments) -> None:
    model: SegmentModel = learned.model
    np.testing.assert_allclose(model.scaled(model.unscaled(model.centres)), model.centres, atol=1e-9)


def test_figures_are_reported_for_learned_and_declared_segments(trained: TrainedModel) -> None:
    figures = trained.review.segment_figures
    assert trained.segments is not None
    learned = [f for f in figures if f.segmentation == "learned"]
    assert sum(f.rows for f in learned) == len(trained.slices.test.rows)
    busy = Condition(feature="count_click_7d", comparison=Comparison.AT_LEAST, value=5.0)
    rule = Segmentation(name="rhythm", segments=(Segment(name="busy", conditions=(busy,)), Segment(name="calm")))
    hidden = Segmentation(name="consent", segments=(Segment(name="yes", where={"consent": True}),))
    product = replace(trained.slices.test.product, segmentations=(rule, hidden))
    test = replace(trained.slices.test, product=product)
    declared = segment_figures(test, trained.review.evaluations["model"].probabilities, None)
    assert [(f.segmentation, f.segment) for f in declared] == [("rhythm", "busy"), ("rhythm", "calm")]
    assert declared[0].rows == int((test.rows["count_click_7d"] >= 5).sum())
    logged = metrics(trained) | review_metrics(trained.review)
    assert {"segments.k", "segments.silhouette_k2", "segment.learned.s1.rows", "segment.learned.s1.dropout_rate"} <= set(logged)
    assert "| learned | s1 |" in model_card(trained, {})


def test_the_plot_is_drawn_without_a_display(learned: LearnedSegments, tmp_path) -> None:
    segment_plot(learned).savefig(tmp_path / "segments.png")
    assert (tmp_path / "segments.png").stat().st_size > 5000
