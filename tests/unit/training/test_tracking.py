"""MLflow's schema is made once, whoever comes first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_several_processes_at_once_make_one_schema(tmp_path: Path) -> None:
    script = "from training.tracking import prepare_tracking; print(prepare_tracking())"
    environment = {
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/deep/mlflow.db",
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in started:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        assert out.strip() == environment["MLFLOW_TRACKING_URI"]
