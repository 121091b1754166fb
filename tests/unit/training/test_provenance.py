"""A run says what it was made from, also where the policy is broken or there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from features.declarations.product_file import load_product
from serving.policy_file import load_policy
from tests.mlflow_store import working_in
from training.provenance import FEATURES, POLICY, UNREADABLE, log_table
from training.tracked import KIND, tracked_run

ONBOARDING = Path(__file__).resolve().parents[3] / "products" / "onboarding"


@pytest.fixture(autouse=True)
def _store(tmp_path: Path) -> Iterator[None]:
    with working_in(tmp_path):
        yield


def test_a_run_keeps_kind_features_and_policy_also_where_it_stops(tmp_path: Path) -> None:
    product = load_product(ONBOARDING)
    policy = load_policy(ONBOARDING / "policy.yaml", product)
    broken = tmp_path / "broken"
    shutil.copytree(ONBOARDING, broken)
    (broken / "policy.yaml").write_text("version: 1\n")
    expected = {ONBOARDING: policy.hash, broken: UNREADABLE, tmp_path / "nowhere": None, None: None}
    for folder, hash_ in expected.items():
        with pytest.raises(ZeroDivisionError), tracked_run(product, "drift", product_dir=folder) as run_id:
            raise ZeroDivisionError
        tags = mlflow.get_run(run_id).data.tags
        assert (tags[KIND], tags[FEATURES], tags.get(POLICY)) == ("drift", product.catalogue.fingerprint, hash_)


def test_rows_of_any_columns_are_a_data_set(tmp_path: Path) -> None:
    product = load_product(ONBOARDING)
    rows = pd.DataFrame({"user_id": ["a", None], "n": [1, 2], "plan": pd.Series([None, True], dtype=object)})
    rows["at"] = pd.to_datetime(["2026-01-01T00:00Z", "2026-01-02T00:00Z"])
    with tracked_run(product, "monitor") as run_id:
        log_table(rows, "onboarding-receipts", tmp_path)
    (found,) = mlflow.get_run(run_id).inputs.dataset_inputs
    assert (found.dataset.name, [tag.value for tag in found.tags]) == ("onboarding-receipts", ["receipts"])
