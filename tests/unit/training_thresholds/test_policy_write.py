"""Whatever happens to a policy file that thresholds are written into: it is the old one or the new one, and one sentence says which."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from features.declarations.product_file import load_product
from features.declarations.yaml_file import DeclarationError
from features.home import Home
from serving.policy_file import load_policy
from tests.serving_world import NOON
from training.freshness import Look
from training.thresholds.errors import PolicyTextError
from training.thresholds.policy_write import write_thresholds
from training.thresholds.run import Scope, solve_product

ROOT = Path(__file__).resolve().parents[3]
PRODUCT_DIR = ROOT / "products" / "onboarding"
PRODUCT = load_product(PRODUCT_DIR)
SOLVED = {"enterprise": 0.53, "free": 0.6}

WRITER = """
import sys
from pathlib import Path
from features.declarations.product_file import load_product
from training.thresholds.policy_write import write_thresholds

product, file = load_product(Path("products/onboarding")), Path(sys.argv[1])
print("ready", flush=True)
for turn in range(int(sys.argv[3])):
    write_thresholds(file, product, round(float(sys.argv[2]) + turn % 2 / 100, 2), {"enterprise": 0.53})
"""
"""Writes one threshold and another one in turn."""

FULL = """
import resource, sys
from pathlib import Path
from features.declarations.product_file import load_product
from training.thresholds.errors import PolicyTextError
from training.thresholds.policy_write import write_thresholds

product = load_product(Path("products/onboarding"))
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))  # as a disk that is full
try:
    write_thresholds(Path(sys.argv[1]), product, 0.52, {"free": 0.6})
except PolicyTextError as exc:
    print(str(exc)[-150:])
"""


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    return Path(shutil.copy(PRODUCT_DIR / "policy.yaml", tmp_path / "policy.yaml"))


def write(file: Path) -> str:
    return write_thresholds(file, PRODUCT, 0.52, SOLVED)


def writer(file: Path, threshold: float, turns: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(file), str(threshold), str(turns)]
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def looped(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("gone.yaml"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (Path.unlink, "found no such file, expected a file that can be read"),
        (dangling, "found no such file, expected a file that can be read"),
        (looped, "found something that cannot be opened"),
        (lambda file: file.write_text("caps: [x"), "expected valid YAML"),
        (lambda file: file.write_bytes(b"\xff\xfe"), "found bytes that are not UTF-8"),
        (lambda file: file.write_text(""), "found nothing, expected a mapping"),
    ],
)
def test_what_is_no_policy_is_not_touched_and_is_told(policy_file: Path, spoil, said: str) -> None:
    spoil(policy_file)
    before = policy_file.read_bytes() if policy_file.is_file() else None
    with pytest.raises(DeclarationError, match=said):
        write(policy_file)
    assert (policy_file.read_bytes() if policy_file.is_file() else None) == before
    assert list(policy_file.parent.glob(".*")) == []


def test_a_file_that_nobody_may_write_is_left_and_the_way_out_is_said(policy_file: Path) -> None:
    before = policy_file.read_bytes()
    policy_file.chmod(0o444)
    with pytest.raises(
        PolicyTextError, match=r"found a file that is read-only, expected one that may be written; chmod u\+w it, or run it"
    ):
        write(policy_file)
    assert (policy_file.read_bytes(), policy_file.stat().st_mode & 0o777) == (before, 0o444)


def test_a_disk_that_is_full_is_told_and_the_file_is_as_it_was(policy_file: Path) -> None:
    before = policy_file.read_bytes()
    done = subprocess.run([sys.executable, "-c", FULL, policy_file], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "cannot be written (File too large), it is as it was; mend that, or run it without --write" in done.stdout, done.stderr
    assert policy_file.read_bytes() == before
    assert list(policy_file.parent.iterdir()) == [policy_file]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: file.chmod(0o444)], ids=["missing", "read-only"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_solved(policy_file: Path, spoil, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    spoil(policy_file)
    look = Look(now=NOON, product_dir=policy_file.parent)
    with pytest.raises((DeclarationError, PolicyTextError), match=r"no such file|read-only"):
        solve_product(PRODUCT, Home(tmp_path / "home"), look, Scope(write_to=policy_file))
    assert not (tmp_path / "runs.db").exists()


def test_killed_in_the_midst_of_it_the_file_is_whole_and_the_next_writer_clears_up(policy_file: Path) -> None:
    for kill in range(3):
        process = writer(policy_file, 0.3, 1_000_000)
        hashes = set()
        while len(hashes) < 2 + kill % 2:  # it writes, now and then
            hashes.add((load_policy(policy_file, PRODUCT).risk_threshold, policy_file.stat().st_ino))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert load_policy(policy_file, PRODUCT).risk_threshold in {0.3, 0.31}
    policy_file.with_name(f".policy.yaml.{process.pid}").write_text("half")  # whether or not one of the kills left something
    write(policy_file)
    assert list(policy_file.parent.iterdir()) == [policy_file]


def test_two_at_once_take_turns_and_readers_see_whole_policies(policy_file: Path) -> None:
    both = [writer(policy_file, threshold, 10) for threshold in (0.3, 0.4)]
    seen = set()
    while any(process.poll() is None for process in both):
        seen.add(load_policy(policy_file, PRODUCT).risk_threshold)
    assert [process.communicate()[1] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert seen <= {0.6, 0.3, 0.31, 0.4, 0.41}
    assert load_policy(policy_file, PRODUCT).risk_threshold in {0.31, 0.41}
    assert list(policy_file.parent.iterdir()) == [policy_file]


def test_what_somebody_wrote_meanwhile_stays(policy_file: Path) -> None:
    edited = policy_file.read_text().replace("risk_threshold: 0.60", "risk_threshold: 0.77")

    class Editing(dict):
        """Thresholds that somebody needs so long to say that another one edits the file."""

        def items(self):
            policy_file.write_text(edited)
            return super().items()

    with pytest.raises(PolicyTextError, match="found that somebody changed it meanwhile"):
        write_thresholds(policy_file, PRODUCT, 0.52, Editing(SOLVED))
    assert policy_file.read_text() == edited
    assert list(policy_file.parent.iterdir()) == [policy_file]
