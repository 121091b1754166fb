"""Training as people start it: ``mlflow run`` on a product folder; and the rows it learns from, through Feast."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest

from features.core.event import to_us
from features.core.product import Product
from features.declarations.product_file import load_product
from features.home import Home
from tests.unit.training import synthetic
from training.dataset import build_frame, features_join
from training.frame import AS_OF, USER

ROOT = Path(__file__).resolve().parents[2]

PRODUCT = """
version: 1
name: tiny
description: A small product.
kinds: {login: {}, login_failed: {}, click: {}}
groups: {use: [login, click]}
causes:
  friction: {sentence: Signing in keeps failing.}
  silence: {sentence: Not used for a while.}
features:
  - {aggregation: count, of: login_failed, windows: [1d, 3d, 7d, 14d], cause: friction}
  - {aggregation: count, of: [login, click], windows: [1d, 3d, 7d, 14d], cause: silence}
  - {aggregation: seconds_since_last, of: use, cause: silence}
  - {aggregation: active_days, of: use, windows: 14d, cause: silence}
label:
  activity: use
  horizon: 5d
  spine: {every: 1d, start_after: 1d, stop_after: 40d, active_within: 7d}
profile:
  plan: {type: category}
  invited: {type: boolean}
"""


@pytest.fixture(scope="module")
def product_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product folder with a log already imported beside it, in ``home``."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "product.yaml").write_text(PRODUCT)
    synthetic.fill(Home(folder / "home"), load_product(folder), n_users=300, n_days=60, seed=5)
    return folder


@pytest.fixture(scope="module")
def product(product_folder: Path) -> Product:
    """The folder's product."""
    return load_product(product_folder)


def run_entry_point(folder: Path, cwd: Path, *parameters: str, entry: str = "train") -> subprocess.CompletedProcess[str]:
    """``mlflow run`` as with .venv active, against a tracking store in ``cwd``."""
    shell = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}  # MLflow itself leaves its choices there
    environment = shell | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{cwd}/mlflow.db",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "run",
        str(ROOT),
        "-e",
        entry,
        "--env-manager=local",
        "-P",
        f"product={folder}",
        "-P",
        "stale_after_days=0",  # the made-up log is of a year of its own
        *parameters,
    ]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_mlflow_run_trains_registers_and_leaves_the_checkout_clean(product_folder: Path, tmp_path: Path) -> None:
    before = {path.name for path in ROOT.iterdir()}
    done = run_entry_point(product_folder, tmp_path, "-P", f"home={product_folder / 'home'}", "-P", "max_rounds=40", "-P", "timing=false")
    assert done.returncode == 0, done.stderr
    assert "stillhere-tiny version 1 is now champion" in " ".join(done.stdout.split())
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    version = client.get_model_version_by_alias("stillhere-tiny", "champion")
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["max_rounds"] == "40"  # MLproject's own, logged by MLflow
    assert run.data.params["lightgbm.max_rounds"] == "40"  # ours
    assert {path.name for path in ROOT.iterdir()} - before <= {"__pycache__"}
    children = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert {"dataset", "fit", "evaluate", "register"} <= {child.info.run_name for child in children}
    refused = run_entry_point(product_folder, tmp_path, "-P", f"home={product_folder / 'home'}", "-P", "version=1", entry="promote")
    assert refused.returncode != 0
    assert "version 1 of stillhere-tiny is champion already" in " ".join(refused.stderr.split())
    evaluated = run_entry_point(product_folder, tmp_path, "-P", f"home={product_folder / 'home'}", "-P", "model=1", entry="evaluate")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "version 1 on" in evaluated.stdout
    assert "recency alone" in evaluated.stdout


def test_the_join_brings_the_same_features_and_the_profile_as_of_then(product_folder: Path, product: Product) -> None:
    from features.adapters.feast_history import history_of
    from features.adapters.feast_store import open_store

    home = Home(product_folder / "home")
    plain = build_frame(product, home, join=features_join)
    user = plain.rows[USER].value_counts().index[0]
    changed = plain.rows.loc[plain.rows[USER] == user, AS_OF].median()
    history = history_of(open_store(product, home, "redis://127.0.0.1:1"))
    history.append({user: {"plan": "pro", "invited": True}}, changed_us=to_us(changed.to_pydatetime()))
    joined = build_frame(product, home)
    names = [USER, AS_OF, *product.catalogue.feature_names]
    assert joined.rows[names].astype(plain.rows[names].dtypes).equals(plain.rows[names])
    assert joined.outcomes.tolist() == plain.outcomes.tolist()
    of_user = joined.at(np.flatnonzero(joined.rows[USER] == user))
    known = (of_user.rows[AS_OF] >= changed).tolist()
    assert set(known) == {True, False}
    assert [profile["plan"] == "pro" and profile["invited"] is True for profile in of_user.profiles()] == known
