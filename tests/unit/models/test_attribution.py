"""Causes sum to the raw score and agree with the shap package."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from models.attribution import BASE, by_cause, matrix_by_cause
from models.risk import RiskModel

CAUSES = ("silence", "silence", "silence", "shallow", "shallow", "shallow", "profile", "profile", "profile")


def test_causes_and_base_sum_to_the_raw_score(booster: lightgbm.Booster, rows: np.ndarray) -> None:
    model = RiskModel(booster.model_to_string(), rows.shape[1])
    raw = model.raw_scores(rows[:500])
    for row, score in zip(rows[:500], raw, strict=True):
        assert sum(by_cause(model.contributions(row), CAUSES).values()) == pytest.approx(score, abs=1e-9)


def test_causes_equal_the_tree_explainer(booster: lightgbm.Booster, rows: np.ndarray) -> None:
    shap = pytest.importorskip("shap")
    explanation = shap.TreeExplainer(booster)(rows[:200])
    values = np.column_stack([explanation.values, explanation.base_values])
    model = RiskModel(booster.model_to_string(), rows.shape[1])
    for row, expected in zip(rows[:200], values, strict=True):
        assert by_cause(model.contributions(row), CAUSES) == pytest.approx(by_cause(expected, CAUSES), abs=1e-9)


def test_the_matrix_form_agrees_with_the_row_form() -> None:
    values = np.random.default_rng(1).normal(size=(20, 10))
    names, sums = matrix_by_cause(values, CAUSES)
    assert names[-1] == BASE
    for row, expected in zip(values, sums, strict=True):
        assert list(by_cause(row, CAUSES)) == names
        np.testing.assert_allclose(list(by_cause(row, CAUSES).values()), expected, rtol=0, atol=1e-12)
