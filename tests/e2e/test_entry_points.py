"""Every entry point of MLproject as a data scientist walks through them: simulate, import, train, tune, compare, promote, watch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from features.declarations.product_file import load_product
from features.home import Home
from tests.unit.training_thresholds.receipts import export, receipt

ROOT = Path(__file__).resolve().parents[2]
USERS = 600
DECIDED = 120
"""Users about whom there are receipts."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_800)]

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the product beside it."""
    folder = tmp_path_factory.mktemp("walk")
    shutil.copytree(ROOT / "products", folder / "products")
    return folder


@pytest.fixture(scope="module")
def entry(folder: Path) -> Callable[..., Done]:
    """Run one entry point by ``mlflow run``, as with .venv active; its parameters by name."""

    def run(name: str, **parameters: object) -> Done:
        declared = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"][name]["parameters"]
        shared = {"product": folder / "products" / "onboarding", "home": folder / "home", "stale_after_days": 0}
        given = {key: value for key, value in shared.items() if key in declared} | parameters
        command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", name, "--env-manager=local"]
        command += [part for key, value in given.items() for part in ("-P", f"{key}={value}")]
        return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)

    return run


def environment(folder: Path) -> dict[str, str]:
    shell = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return shell | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "COLUMNS": "200",
    }


def import_log(folder: Path) -> Done:
    """``stillhere import`` of the simulated log."""
    places = ["--product", str(folder / "products" / "onboarding"), "--home", str(folder / "home")]
    return subprocess.run(
        [sys.executable, "-m", "serving.cli", "import", str(folder / "sim"), *places],
        cwd=folder,
        env=environment(folder) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def went_well(done: Done) -> str:
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return " ".join(done.stdout.split())


def refused(done: Done) -> str:
    assert done.returncode != 0, done.stdout[-2000:]
    assert "Traceback" not in done.stdout
    return " ".join((done.stdout + done.stderr).split())


def test_the_whole_way_from_a_simulated_log_to_watching_the_champion(folder: Path, entry: Callable[..., Done]) -> None:
    trial = {"folder": folder / "sim", "users": USERS, "trial": "trial.parquet", "decisions": 3, "timing": "against-habit"}
    went_well(entry("simulate", **trial))
    went_well(import_log(folder))
    assert "has no champion" in refused(entry("thresholds"))
    assert "version 1 is now champion: there was no champion" in went_well(entry("train", max_rounds=60, timing="false"))
    assert "version 2 is now challenger" in went_well(entry("train", max_rounds=60, timing="false", promote="never"))
    assert "The gate" in refused(entry("promote"))  # the same model again is not better
    assert "version 2 is now champion" in went_well(entry("promote", force="the walk goes on"))
    assert "3 trials" in went_well(entry("tune", trials=3, timeout_s=120))
    tuned = folder / "home" / "tuned-onboarding.json"
    said = went_well(entry("train", parameters=tuned, promote="never", seed=1))
    assert "version 3 is now challenger" in said
    assert "Whom to alert" in said
    assert "gain over champion" in went_well(entry("evaluate", model="challenger"))
    assert "champion version 2" in went_well(entry("thresholds"))
    assert "no receipts in" in refused(entry("monitor"))  # nothing was decided yet
    drift_of_log_and_receipts(folder, entry)
    went_well(entry("backtest", steps=2, max_rounds=60))
    assert "effect of timing on" in went_well(entry("timing", trial=folder / "sim" / "trial.parquet", max_rows=1_000))
    went_well(entry("signals"))
    went_well(entry("uplift", file=experiment(folder), outcome="stayed", arm="action", control="none", propensity="propensity", draws=100))
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    assert str(client.get_model_version_by_alias("stillhere-onboarding", "champion").version) == "2"
    assert client.get_registered_model("stillhere-onboarding").aliases.keys() >= {"champion", "previous"}


def drift_of_log_and_receipts(folder: Path, entry: Callable[..., Done]) -> None:
    """Over receipts it comes to a result: a table, of which rows, and whether to train again."""
    watched = entry("drift", source="log", retrain_every_days=0)
    assert "expected at least" in refused(watched)  # the log ends where the champion's test slice did
    decide(folder)
    watched = entry("drift", retrain_every_days=0)
    said = " ".join((watched.stdout + watched.stderr).split())
    assert "tests moved" in said, said[-3000:]
    assert f"now: {DECIDED} rows of {DECIDED} users" in said
    assert ("TRAIN AGAIN (drift)" in said) == (watched.returncode != 0)


def decide(folder: Path) -> None:
    """Receipts of decisions about the newest rows of the log, one for each of some users."""
    product, home = load_product(folder / "products" / "onboarding"), Home(folder / "home")
    rows = pd.read_parquet(home.snapshots_file(product.name)).sort_values("snapshot_as_of").drop_duplicates("user_id", keep="last")
    names = list(product.catalogue.feature_names)
    told = rows.tail(DECIDED)[["user_id", "snapshot_as_of", *names]].to_dict("records")
    usual = {"risk": 0.5, "features": product.catalogue.fingerprint}
    receipts = [
        receipt(row["user_id"], row["snapshot_as_of"].to_pydatetime(), numbers={name: row[name] for name in names}, **usual) for row in told
    ]
    export(home.receipts_dir(product.name), receipts)


def experiment(folder: Path) -> Path:
    """The trial as `uplift` reads it: an outcome that is better where higher, and the chance of the action alone."""
    rows = pd.read_parquet(folder / "sim" / "trial.parquet")
    rows["stayed"] = 1 - rows["dropped_out"].astype(int)
    rows["propensity"] = np.where(rows["action"] == "none", 0.25, 0.75 / 5)
    kept = rows[["action", "propensity", "stayed", "contacts", "hour_of_week"]]
    kept.to_parquet(file := folder / "experiment.parquet")
    return file
