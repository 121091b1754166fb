"""``python -m serving.fetcher PRODUCT BUNDLES_DIR EVERY_S``: asks MLflow what the aliases point at, so that no service has to import it.

Started by `serving.adapters.registry_process`, and ends with whoever started it: at the end of its standard input. EVERY_S of 0 asks once.
"""

from __future__ import annotations

import logging
import os
import select
import sys
from pathlib import Path

from models.errors import ModelError
from serving.adapters.model_registry import POINTERS, RegistryError, database_identity, fetch_alias
from serving.adapters.registry_process import RegistryLook, write_look

_log = logging.getLogger(__name__)

_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}  # the defaults wait for minutes
_STDIN = 0
_LESS_URGENT = 5  # than deciding, which shares the cores


def look(product_name: str, bundles_dir: Path) -> str | None:
    """Fetch what each alias points at; what went wrong, or None."""
    faults = []
    for alias in POINTERS:
        try:
            fetch_alias(product_name, alias, bundles_dir)
        except (RegistryError, ModelError, OSError) as exc:
            faults.append(f"{alias}: {exc}")
    return "; ".join(faults) or None


def run(product_name: str, bundles_dir: Path, every_s: float) -> None:
    """Look again and again, and say of each look that came to something else what it came to; until the store is another file."""
    import mlflow

    uri = str(mlflow.get_tracking_uri())
    told: RegistryLook | None = None
    database = database_identity(uri)
    while database_identity(uri) == database:
        latest = RegistryLook(pid=os.getpid(), fault=look(product_name, bundles_dir))
        if latest != told:
            _log.log(logging.WARNING if latest.fault else logging.INFO, "MLflow: %s", latest.fault or "its aliases are followed")
            write_look(bundles_dir, latest)
            told = latest
        if every_s == 0 or _is_over(every_s):
            return


def _is_over(wait_s: float) -> bool:
    """Wait; True as soon as whoever started us has ended."""
    readable, _, _ = select.select([_STDIN], [], [], wait_s)
    return bool(readable) and os.read(_STDIN, 1) == b""


def main(arguments: list[str]) -> None:
    """Run until the standard input ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.nice(_LESS_URGENT)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    product_name, bundles_dir, every_s = arguments
    run(product_name, Path(bundles_dir), float(every_s))


if __name__ == "__main__":
    main(sys.argv[1:])
