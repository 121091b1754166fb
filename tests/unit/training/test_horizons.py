"""Outcomes at other horizons follow from the same log as the label's own."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from features.backfill.columns import read_fingerprinted
from features.core.product import Product
from features.home import Home
from training.horizons import horizon_figures, outcomes_at
from training.pipeline import TrainedModel


def test_at_the_labels_own_horizon_the_outcomes_are_the_frames(product: Product, home: Home, trained: TrainedModel) -> None:
    raw, _ = read_fingerprinted(home.raw_dir(product.name), product)
    test = trained.slices.test
    labels = outcomes_at(raw, product, test.rows, test.horizon)
    assert labels.mature.all()
    np.testing.assert_array_equal(labels.dropped_out, test.outcomes)


def test_a_longer_absence_is_rarer_and_later_rows_cannot_know_it_yet(product: Product, home: Home, trained: TrainedModel) -> None:
    figures = horizon_figures(product, home, trained.slices.test, trained.review.scored)
    mine = [each for each in figures if each.scorer == "model"]
    assert [each.suffix for each in mine][:3] == ["h1d", "h3d", "h5d"]
    assert [each.dropout_rate for each in mine] == sorted((each.dropout_rate for each in mine), reverse=True)
    assert [each.rows for each in mine] == sorted((each.rows for each in mine), reverse=True)
    assert {each.scorer for each in figures} == {"model", "logistic", "recency alone"}


def test_a_horizon_that_the_log_cannot_know_is_left_out(product: Product, home: Home, trained: TrainedModel) -> None:
    test = trained.slices.test
    assert horizon_figures(product, home, test, trained.review.scored, [timedelta(days=400)])[-1].days == test.horizon.days
