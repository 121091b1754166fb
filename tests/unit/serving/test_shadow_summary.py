from __future__ import annotations

import math

import numpy as np
import orjson
import pytest

from serving.cli.shadow_command import as_json, as_text
from serving.shadow_summary import shadow_summary


def scores(*rows):
    """Of rows (model, shadow_model, risk, shadow_risk, threshold)."""
    names = ("model", "shadow_model", "risk", "shadow_risk", "threshold")
    kinds = (np.object_, np.object_, float, float, float)
    return {name: np.array([row[at] for row in rows], dtype=kinds[at]) for at, name in enumerate(names)}


FOUR = scores(
    ("p/1", "p/2", 0.1, 0.2, 0.5),
    ("p/1", "p/2", 0.4, 0.5, 0.5),  # crosses upwards: at the threshold is above
    ("p/1", "p/2", 0.6, 0.4, 0.5),  # crosses downwards
    ("p/1", "p/2", 0.9, 0.8, 0.5),
)


def test_differences_order_and_crossings_are_those_counted_by_hand():
    (summary,) = shadow_summary(FOUR)
    assert (summary.champion, summary.shadow, summary.n_decisions) == ("p/1", "p/2", 4)
    assert summary.mean_difference == pytest.approx((0.1 + 0.1 - 0.2 - 0.1) / 4)
    assert summary.rank_correlation == pytest.approx(0.8)  # 1 - 6 * (0 + 1 + 1 + 0) / (4 * 15)
    assert (summary.champion_share_above, summary.shadow_share_above, summary.share_crossing) == (0.5, 0.5, 0.5)


def test_each_pair_of_models_is_compared_alone():
    summaries = shadow_summary(scores(("p/1", "p/2", 0.1, 0.1, 0.5), ("p/2", "p/3", 0.1, 0.2, 0.5), ("p/1", "p/2", 0.2, 0.3, 0.5)))
    assert [(s.champion, s.shadow, s.n_decisions) for s in summaries] == [("p/1", "p/2", 2), ("p/2", "p/3", 1)]


def test_where_everybody_is_the_same_there_is_no_order():
    (summary,) = shadow_summary(scores(("p/1", "p/2", 0.1, 0.1, 0.5), ("p/1", "p/2", 0.1, 0.4, 0.5)))
    assert math.isnan(summary.rank_correlation)


def test_the_command_says_it_in_words_and_as_json():
    text = as_text(shadow_summary(FOUR))
    assert text.splitlines()[0] == "p/2 beside p/1, 4 decisions"
    assert "rank correlation 0.800" in text
    assert "50.0% -> 50.0%; 50.0% would be on the other side" in text
    assert orjson.loads(as_json(shadow_summary(FOUR)))[0]["share_crossing"] == 0.5


def test_without_a_challenger_the_command_says_how_to_have_one():
    assert "Give a version the alias `shadow`" in as_text(shadow_summary(scores()))
