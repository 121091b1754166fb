"""Options that every command has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from serving.settings import Settings


@Parameter(name="*")
@dataclass(frozen=True)
class Place:
    """Which installation is meant."""

    product: Annotated[Path | None, Parameter(help="Product folder, with product.yaml and policy.yaml. [default: products/onboarding]")] = (
        None
    )
    home: Annotated[Path | None, Parameter(help="State directory: data, models, receipts. [default: .stillhere]")] = None

    def settings(self) -> Settings:
        """Read the settings, with these options in place of the environment's."""
        from serving import bootstrap

        return bootstrap.settings_from_environment(product=self.product, home=self.home)

    def checked(self) -> Settings:
        """As `settings`, over a product folder that can be used: said here and in words, before anything is started over it.

        Raises
        ------
        DeclarationError
            If the folder, product.yaml or policy.yaml is missing or wrong.
        """
        from features.declarations.product_file import load_product
        from serving.policy_file import load_policy

        settings = self.settings()
        load_policy(settings.product_folder / "policy.yaml", load_product(settings.product_folder))
        return settings


HERE = Place()

Port = Annotated[int, Parameter(help="Port of the HTTP interface.", validator=Number(gte=1, lte=65_535))]
