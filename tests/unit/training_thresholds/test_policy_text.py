"""Thresholds find their way into policy.yaml, and nothing else in it changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from features.declarations.product_file import load_product
from features.declarations.yaml_file import DeclarationError
from serving.policy_file import load_policy
from training.thresholds.errors import PolicyTextError
from training.thresholds.policy_text import replaced, snippet
from training.thresholds.policy_write import write_thresholds

PRODUCT_DIR = Path(__file__).resolve().parents[3] / "products" / "onboarding"
PRODUCT = load_product(PRODUCT_DIR)
SOLVED = {"enterprise": 0.53, "team_web": 0.545, "free": 0.6}


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    return Path(shutil.copy(PRODUCT_DIR / "policy.yaml", tmp_path / "policy.yaml"))


def test_only_the_two_keys_change_and_comments_stay(policy_file: Path) -> None:
    before = policy_file.read_text().splitlines()
    new_hash = write_thresholds(policy_file, PRODUCT, 0.52, SOLVED)
    after = policy_file.read_text().splitlines()
    assert [line for line in before if line not in after] == [
        "risk_threshold: 0.60",
        "  enterprise: 0.45 # an account worth an early word",
        "  free: 0.70",
    ]
    assert [line for line in after if line not in before] == [
        "risk_threshold: 0.52",
        "  enterprise: 0.53 # an account worth an early word",
        "  free: 0.6",
        "  team_web: 0.545",
    ]
    policy = load_policy(policy_file, PRODUCT)
    assert (policy.risk_threshold, dict(policy.segment_thresholds), policy.hash) == (0.52, SOLVED, new_hash)
    assert list(policy_file.parent.iterdir()) == [policy_file]


def test_writing_the_same_again_changes_nothing(policy_file: Path) -> None:
    first = write_thresholds(policy_file, PRODUCT, 0.52, SOLVED)
    text = policy_file.read_text()
    assert (write_thresholds(policy_file, PRODUCT, 0.52, SOLVED), policy_file.read_text()) == (first, text)


def test_a_segment_that_is_not_solved_any_more_loses_its_line(policy_file: Path) -> None:
    write_thresholds(policy_file, PRODUCT, 0.52, {"free": 0.61})
    assert "enterprise: 0" not in policy_file.read_text()


def test_what_would_be_no_policy_leaves_the_file_as_it_was(policy_file: Path) -> None:
    before = policy_file.read_bytes()
    with pytest.raises(DeclarationError, match="segment_thresholds"):
        write_thresholds(policy_file, PRODUCT, 0.52, {"nobody": 0.5})
    with pytest.raises(DeclarationError):
        write_thresholds(policy_file, PRODUCT, 1.5, SOLVED)
    assert policy_file.read_bytes() == before
    assert list(policy_file.parent.iterdir()) == [policy_file]


def test_a_missing_last_line_end_stays_missing_and_a_link_stays_a_link(policy_file: Path) -> None:
    policy_file.write_bytes(policy_file.read_bytes().rstrip(b"\n"))
    link = policy_file.with_name("link.yaml")
    link.symlink_to(policy_file)
    write_thresholds(link, PRODUCT, 0.52, SOLVED)
    assert link.is_symlink()
    assert "risk_threshold: 0.52" in policy_file.read_text()
    assert not policy_file.read_text().endswith("\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("risk_threshold: 0.6\nsegment_thresholds: {free: 0.7} # so\n", "risk_threshold: 0.5\nsegment_thresholds: {free: 0.4} # so\n"),
        ("risk_threshold: 0.6 # why\ncaps: {}\n", "risk_threshold: 0.5 # why\nsegment_thresholds:\n  free: 0.4\ncaps: {}\n"),
        ("caps: {}\nrisk_threshold: 0.6", "caps: {}\nrisk_threshold: 0.5\nsegment_thresholds:\n  free: 0.4\n"),
        (
            "risk_threshold: 0.6\nsegment_thresholds:\n    # old\n    free: 0.7\n",
            "risk_threshold: 0.5\nsegment_thresholds:\n    # old\n    free: 0.4\n",
        ),
    ],
)
def test_the_text_is_edited_in_its_own_manner(text: str, expected: str) -> None:
    assert replaced(text, 0.5, {"free": 0.4}) == expected


@pytest.mark.parametrize("text", ["a: 1\n", "risk_threshold: &x 0.6\n", "risk_threshold: [1]\n", "{risk_threshold: 0.6}\n", "- 1\n"])
def test_a_text_that_cannot_be_edited_safely_is_refused(text: str) -> None:
    with pytest.raises(PolicyTextError, match="by hand"):
        replaced(text, 0.5, {})


def test_the_snippet_is_what_stands_in_the_file() -> None:
    assert snippet(0.5, {}) == "risk_threshold: 0.5\n"
