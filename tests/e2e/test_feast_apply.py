"""`cd feature_repo && feast apply` in a fresh checkout: no state, no Redis."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from feast import FeatureStore

from features.declarations.product_file import load_product

ROOT = Path(__file__).parents[2]
FEAST = Path(sys.executable).with_name("feast")


def test_feast_apply_registers_everything_in_a_fresh_checkout(tmp_path):
    for part in ("feature_repo", "products", "features"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STILLHERE_")}
    applied = subprocess.run(
        [str(FEAST), "apply"],
        cwd=tmp_path / "feature_repo",
        env=environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert applied.returncode == 0, applied.stderr
    assert [word for word in ("Traceback", "Could not") if word in applied.stdout + applied.stderr] == []
    assert (tmp_path / ".stillhere/products/onboarding/feast/registry.db").is_file()

    store = FeatureStore(repo_path=str(tmp_path / "feature_repo"))
    product = load_product(tmp_path / "products" / "onboarding")
    assert {view.name for view in store.list_feature_views()} == {"timeline", "profile", "snapshots"}
    assert {service.name for service in store.list_feature_services()} == {"serving", f"training_{product.catalogue.fingerprint}"}
    behaviour = store.get_on_demand_feature_view("behaviour")
    assert [field.name for field in behaviour.features] == list(product.catalogue.feature_names)
