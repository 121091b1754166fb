"""An installation whose policy and champion are changed while it serves: the product folder is a copy, the models are small ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from features.core.product import Product
from features.home import Home
from serving.adapters.model_registry import CURRENT, POINTERS
from tests.certain import certain_product
from tests.small_model import write_small_bundle

PATIENCE_S = 60.0


def until(holds: Callable[[], object], what: str = "it") -> None:
    """Wait until something holds; the test fails when it does not within its patience."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come to hold within {PATIENCE_S:g} s"


class Sources:
    """Policy file and bundles of the onboarding product in a folder of their own."""

    def __init__(self, folder: Path, product: Product) -> None:
        self.product = product
        self.product_folder = folder / "product"
        self.home = Home(folder / "home")
        self.bundles_dir = self.home.bundles_dir(product.name)
        certain_product(self.product_folder)
        self._text = self.policy_file.read_text()

    @property
    def policy_file(self) -> Path:
        return self.product_folder / "policy.yaml"

    def threshold(self, risk_threshold: float) -> None:
        """Edit the policy as an editor does: not in one step."""
        self.policy_file.write_text(self._text.replace("risk_threshold: 0.60", f"risk_threshold: {risk_threshold}"))

    def bundle(self, version: int, *, n_rounds: int = 40) -> Path:
        """Write a bundle as if it had been fetched; more rounds make it another model."""
        folder = write_small_bundle(self.product, self.bundles_dir / str(version), n_rounds=n_rounds)
        (folder / "registration.json").write_text(json.dumps({"version": f"{self.product.name}/{version}", "run_id": str(version)}))
        return folder

    def point(self, version: int | None, alias: str = "champion") -> None:
        """Move an alias, as the fetcher notes it."""
        pointer = self.bundles_dir / POINTERS[alias]
        named = None if version is None else str(version)
        unfinished = pointer.with_suffix(".new")
        unfinished.write_text(json.dumps({"version": named and f"{self.product.name}/{named}", "folder": named}))
        unfinished.replace(pointer)

    @property
    def champion(self) -> str | None:
        return json.loads((self.bundles_dir / CURRENT).read_text())["version"]
