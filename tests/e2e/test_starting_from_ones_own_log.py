"""From somebody's event log to a trained model with three commands; on CDNOW where the data is at hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("STILLHERE_DATA", ROOT / ".." / "shared" / "data"))
SAMPLE = DATA / "cdnow" / "cdnow_sample.csv.gz"


def stillhere(cwd: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One command, as a person in ``cwd`` would give it."""
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{cwd}/mlflow.db",
        "STILLHERE_HOME": str(cwd / "home"),
        "PYTHONPATH": str(ROOT),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    for name in ("STILLHERE_REDIS_URL", "STILLHERE_PRODUCT"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "serving.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.faults  # half a minute: three processes that load MLflow and Feast
@pytest.mark.timeout(600)
@pytest.mark.skipif(not SAMPLE.is_file(), reason=f"CDNOW is not at hand: no {SAMPLE}; set STILLHERE_DATA")
def test_init_import_train_on_cdnow_beats_recency_alone(tmp_path: Path) -> None:
    drafted = stillhere(tmp_path, "init", SAMPLE, "--name", "cdnow")
    assert drafted.returncode == 0, drafted.stderr
    assert "1 kind, 32 features" in drafted.stdout
    assert "columns: user customer_id, time date, value amount" in drafted.stdout
    commands = re.findall(r"^  stillhere (.*)$", drafted.stdout, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:  # exactly as printed
        done = stillhere(tmp_path, *command.split())
        assert done.returncode == 0, done.stderr
    gain = re.search(r"^  gain over recency alone:.*?\bauc ([+-][0-9.]+)", done.stdout, re.MULTILINE)
    assert gain is not None, done.stdout
    assert float(gain[1]) > 0.05


def test_init_never_overwrites_and_names_what_it_cannot_tell(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("who,when\n" + "".join(f"u{n % 3},2026-01-{1 + n:02d}\n" for n in range(20)))
    refused = stillhere(tmp_path, "init", log)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "cannot tell which column names the user, got the columns who, when; name it with --user COLUMN" in refused.stderr
    assert stillhere(tmp_path, "init", log, "--user", "who").returncode == 0
    again = stillhere(tmp_path, "init", log, "--user", "who")
    assert again.returncode == 2
    assert "is there already and is not overwritten; give another --name" in again.stderr
