"""The native path gives LightGBM's own numbers, exactly, from any thread."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import lightgbm
import numpy as np
import pytest

from models.errors import ModelError, NativeLibraryError
from models.risk import RiskModel


@pytest.fixture(scope="module")
def model(booster: lightgbm.Booster, rows: np.ndarray) -> RiskModel:
    """The shared booster behind native handles."""
    return RiskModel(booster.model_to_string(), rows.shape[1])


def test_one_row_equals_the_python_api_exactly(model: RiskModel, booster: lightgbm.Booster, rows: np.ndarray) -> None:
    expected = booster.predict(rows[:300], raw_score=True)
    got = np.concatenate([model.raw_scores(rows[i : i + 1]) for i in range(300)])
    np.testing.assert_array_equal(got, expected)


def test_many_rows_equal_the_python_api_exactly(model: RiskModel, booster: lightgbm.Booster, rows: np.ndarray) -> None:
    np.testing.assert_array_equal(model.raw_scores(rows), booster.predict(rows, raw_score=True))


def test_no_rows_give_no_scores(model: RiskModel, rows: np.ndarray) -> None:
    assert model.raw_scores(rows[:0]).shape == (0,)


def test_contributions_equal_the_python_api_and_sum_to_the_raw_score(model: RiskModel, booster: lightgbm.Booster, rows: np.ndarray) -> None:
    expected = booster.predict(rows[:100], pred_contrib=True)
    got = np.stack([model.contributions(row) for row in rows[:100]])
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_allclose(got.sum(axis=1), model.raw_scores(rows[:100]), rtol=0, atol=1e-9)


def test_threads_do_not_share_buffers(model: RiskModel, booster: lightgbm.Booster, rows: np.ndarray) -> None:
    expected = booster.predict(rows, raw_score=True)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda i: model.raw_scores(rows[i : i + 1])[0], range(len(rows))))
    np.testing.assert_array_equal(got, expected)


def test_a_model_warmed_on_one_thread_is_warm_on_the_next(booster: lightgbm.Booster, rows: np.ndarray) -> None:
    model = RiskModel(booster.model_to_string(), rows.shape[1])
    with ThreadPoolExecutor(1) as other:
        other.submit(model.raw_scores, rows[:1]).result()
    model.raw_scores(rows[:2])
    model.contributions(rows[0])
    assert len(model._idle) == 1  # nobody had to load it again


def test_a_wrong_shape_is_refused(model: RiskModel, rows: np.ndarray) -> None:
    with pytest.raises(ModelError, match=r"\(1, 8\).*expected \(n_rows, 9\)"):
        model.raw_scores(rows[:1, :-1])


def test_text_that_is_no_model_is_refused() -> None:
    with pytest.raises(NativeLibraryError, match="LGBM_BoosterLoadModelFromString"):
        RiskModel("not a model", 3)


def test_scoring_needs_neither_mlflow_nor_scikit_learn_nor_pandas(booster: lightgbm.Booster, rows: np.ndarray) -> None:
    script = f"""if True:
        import sys
        import numpy as np
        import models.bundle
        from models.risk import RiskModel
        model = RiskModel(sys.stdin.read(), {rows.shape[1]})
        print(model.raw_scores(np.zeros((1, {rows.shape[1]})))[0].hex())
        heavy = {{"mlflow", "sklearn", "pandas", "lightgbm"}} & set(sys.modules)
        assert not heavy, heavy
    """
    done = subprocess.run([sys.executable, "-c", script], input=booster.model_to_string(), text=True, capture_output=True, check=True)
    assert float.fromhex(done.stdout) == booster.predict(np.zeros((1, rows.shape[1])), raw_score=True)[0]
