"""The shipped policy with nothing left to chance, for tests of everything else: nobody is held out, and nothing is drawn."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import yaml

from features.core.product import Product
from serving.decision.policy import Exploration, Policy
from serving.policy_file import load_policy
from serving.policy_file.document import with_hash
from tests.serving_world import ROOT


def certain(policy: Policy) -> Policy:
    """The same policy, under a hash of its own, without holdout and exploration."""
    return with_hash(replace(policy, holdout=None, exploration=Exploration()))


def certain_product(folder: Path) -> Path:
    """A copy of the onboarding product whose policy leaves nothing to chance, in ``folder``; made once."""
    if folder.exists():
        return folder
    shutil.copytree(ROOT / "products" / "onboarding", folder)
    file = folder / "policy.yaml"
    lines = file.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("holdout:", "exploration:"))]
    assert len(lines) - len(kept) == 2
    file.write_text("".join(kept))
    assert not {"holdout", "exploration"} & yaml.safe_load(file.read_text()).keys()
    return folder


def certain_policy(product: Product) -> Policy:
    """The shipped onboarding policy, but for its chance."""
    return certain(load_policy(ROOT / "products" / "onboarding" / "policy.yaml", product))
