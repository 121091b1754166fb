"""What the tests of the registry stand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from features.core.product import Product
from features.home import Home
from training.aliases import make_champion
from training.register import registered, set_challenger
from training.registry import describe_aliases, registered_name
from training.run import Outcome


@dataclass(frozen=True)
class Place:
    """Where the tests train and register."""

    folder: Path
    product: Product
    home: Home
    outcome: Outcome


@dataclass(frozen=True)
class Fresh:
    """A product with a log and without models."""

    product: Product
    home: Home
    run_id: str
    uris: Mapping[str, str]

    @property
    def name(self) -> str:
        return registered_name(self.product.name)

    @property
    def aliases(self) -> dict[str, str]:
        return describe_aliases(self.name)

    def register(self, which: str, *, champion_after: str | None = "nobody") -> str:
        """Register one of the models: as champion after that version (None: as the first), else as challenger."""
        with registered(self.product.name, self.uris[which], run_id=self.run_id, tags={}) as registration:
            if champion_after == "nobody":
                set_challenger(registration)
            else:
                make_champion(registration.name, registration.version, replacing=champion_after, because="a test says so")
        return registration.version
