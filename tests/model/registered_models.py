"""Versions of a product's model in an MLflow store, registered without training: a small bundle each."""

from __future__ import annotations

from pathlib import Path

import mlflow

from features.core.product import Product
from tests.small_model import write_small_bundle


class RegisteredModels:
    """The product's model in the store at ``uri``."""

    def __init__(self, folder: Path, product: Product, uri: str) -> None:
        self._folder, self._product = folder, product
        self.name = f"stillhere-{product.name}"
        self.client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        self.client.create_registered_model(self.name)

    def register(self, *, n_rounds: int) -> str:
        """Register one more version; its number."""
        source = self._folder / f"model-{n_rounds}"
        write_small_bundle(self._product, source / "artifacts" / "bundle", n_rounds=n_rounds)
        return str(self.client.create_model_version(self.name, source=source.as_uri()).version)

    def point(self, alias: str, version: str) -> None:
        """Move an alias: what a promotion and a rollback are."""
        self.client.set_registered_model_alias(self.name, alias, version)

    def withdraw(self, alias: str) -> None:
        """Take an alias away."""
        self.client.delete_registered_model_alias(self.name, alias)
