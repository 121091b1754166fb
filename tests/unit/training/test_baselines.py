"""Recency alone is found in the catalogue, and a user never seen counts as away for ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from features.core.catalogue import Aggregation, Catalogue, Feature
from tests.unit.training import synthetic
from training.baselines import recency_feature, recency_probabilities, recency_scores
from training.frame import TrainingFrame


def since(of: str, *kinds: str) -> Feature:
    return Feature(aggregation=Aggregation.SECONDS_SINCE_LAST, of=of, kinds=kinds)


def test_the_feature_over_exactly_the_activity_kinds_is_chosen() -> None:
    product = synthetic.product()
    features = (since("any", "login", "login_failed", "click"), since("login", "login"), since("use", "login", "click"))
    with_all = replace(product, catalogue=Catalogue(kinds=product.catalogue.kinds, features=features))
    assert recency_feature(with_all) == "seconds_since_last_use"
    assert recency_feature(replace(product, catalogue=Catalogue(kinds=product.catalogue.kinds, features=features[:2]))) is not None


def test_a_catalogue_without_recency_has_no_such_baseline(frame: TrainingFrame) -> None:
    catalogue = frame.product.catalogue
    counts = tuple(f for f in catalogue.features if f.aggregation is Aggregation.COUNT)
    product = replace(frame.product, catalogue=Catalogue(kinds=catalogue.kinds, features=counts))
    assert recency_feature(product) is None
    assert recency_scores(replace(frame, product=product)) is None


def test_never_seen_is_longest_away(frame: TrainingFrame) -> None:
    rows = frame.rows.head(3).copy()
    rows["seconds_since_last_use"] = [10.0, np.nan, 500.0]
    scores = recency_scores(replace(frame, rows=rows))
    assert scores is not None
    assert np.argsort(scores).tolist() == [0, 2, 1]
    assert rows["seconds_since_last_use"].isna().sum() == 1  # the frame itself is untouched


def test_recency_probabilities_grow_with_absence() -> None:
    seconds = np.arange(100.0)
    outcomes = seconds > 60
    probabilities = recency_probabilities(seconds, outcomes, np.array([0.0, 50.0, 99.0, 1e12]))
    assert (np.diff(probabilities) >= 0).all()
    assert probabilities[0] == 0.0
    assert probabilities[-1] == 1.0
