"""Names of all places under the state directory, and whether it is one; nothing is created here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """Where one installation keeps its state.

    Examples
    --------
    >>> Home(Path(".stillhere")).raw_dir("onboarding").as_posix()
    '.stillhere/products/onboarding/raw'
    """

    root: Path

    @property
    def is_there(self) -> bool:
        """Whether an import, a demo or a service ever kept something here; any other folder, an empty one too, is no home.

        Examples
        --------
        >>> Home(Path("tests")).is_there
        False
        """
        return any(next(self.root.glob(str(mark.relative_to(self.root))), None) is not None for mark in self._marks)

    @property
    def _marks(self) -> tuple[Path, ...]:
        """What only we make, as patterns; a folder of product folders, as of a checkout, has none of it."""
        of_products = (
            self.raw_dir,
            self.aliases_dir,
            self.receipts_dir,
            self.feast_dir,
            self.bundles_dir,
            self.rejected_dir,
            self.incoming_dir,
        )
        return (
            *(self.run_file, self.root / "demo.json", self.redis_dir / "redis.log", self.redis_dir / "appendonly.aof"),
            *(self.policies_dir / "*.json", self.root / "logs" / "service.log", self.root / "logs" / "worker.log"),
            *(place("*") for place in of_products),
            self.labels_file("*", "*"),
        )

    @property
    def redis_dir(self) -> Path:
        """Data of the bundled Redis (AOF, configuration, log), shared by all products."""
        return self.root / "redis"

    @property
    def policies_dir(self) -> Path:
        """Every policy a decision was made with, one file per hash."""
        return self.root / "policies"

    @property
    def run_file(self) -> Path:
        """``run.json``: endpoints and process ids of what is running now."""
        return self.root / "run.json"

    def product_dir(self, product: str) -> Path:
        """Everything below that belongs to one product."""
        return self.root / "products" / product

    def raw_dir(self, product: str) -> Path:
        """Hold the raw log: ``day=YYYY-MM-DD/part-*.parquet``."""
        return self.product_dir(product) / "raw"

    def aliases_dir(self, product: str) -> Path:
        """The log of aliases, beside the raw log: ``part-*.parquet``."""
        return self.product_dir(product) / "aliases"

    def receipts_dir(self, product: str) -> Path:
        """Receipts exported from the ledger."""
        return self.product_dir(product) / "receipts"

    def feast_dir(self, product: str) -> Path:
        """Feast's registry and offline files."""
        return self.product_dir(product) / "feast"

    def registry_file(self, product: str) -> Path:
        """Feast's registry."""
        return self.feast_dir(product) / "registry.db"

    def snapshots_file(self, product: str) -> Path:
        """Offline feature snapshots."""
        return self.feast_dir(product) / "snapshots.parquet"

    def profiles_file(self, product: str) -> Path:
        """Offline profile history."""
        return self.feast_dir(product) / "profiles.parquet"

    def labels_file(self, product: str, log: str) -> Path:
        """Labels imported from the labels log of that name."""
        return self.product_dir(product) / "labels" / f"{log}.parquet"

    def bundles_dir(self, product: str) -> Path:
        """Hold verified local copies of model bundles, one folder per version."""
        return self.product_dir(product) / "bundles"

    def rejected_dir(self, product: str) -> Path:
        """Rejected rows of imports, with line numbers and reasons."""
        return self.product_dir(product) / "rejected"

    def incoming_dir(self, product: str) -> Path:
        """Hold logs to import: what the simulator writes."""
        return self.product_dir(product) / "incoming"
