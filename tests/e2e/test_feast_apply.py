"""`cd feature_repo && feast apply` in a fresh checkout: no state, no Redis."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FEAST = Path(sys.executable).with_name("feast")


def feast(repository: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STILLHERE_")}
    return subprocess.run(
        [str(FEAST), *arguments],
        cwd=repository / "feature_repo",
        env=environment | {"PYTHONPATH": str(repository), "PYTHONWARNINGS": "default"} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_feast_apply_registers_everything_in_a_fresh_checkout(tmp_path):
    for part in ("feature_repo", "products", "features"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    applied = feast(tmp_path, "apply")
    assert applied.returncode == 0, applied.stderr
    assert "Traceback" not in applied.stdout + applied.stderr
    assert "Could not" not in applied.stdout + applied.stderr
    assert (tmp_path / ".stillhere/products/onboarding/feast/registry.db").is_file()
    views = feast(tmp_path, "feature-views", "list")
    assert [name for name in ("timeline", "profile", "snapshots", "behaviour") if name not in views.stdout] == []
