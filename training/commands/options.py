"""Options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

_LABELS = 'A labels log of the product, or "implied": outcomes that the log itself implies. Empty: the first labels log, else implied.'


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Log:
    """Which rows are meant."""

    product: Annotated[Path, Parameter(help="Folder with product.yaml and policy.yaml.")] = Path("products/onboarding")
    home: Annotated[Path, Parameter(help="State directory that the log was imported into.")] = Path(".stillhere")
    labels: Annotated[str, Parameter(help=_LABELS)] = ""
    seed: Annotated[int, Parameter(help="The same seed on the same log gives the same result.")] = 0


DEFAULT_LOG = Log()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a challenger must show."""

    metric: Annotated[str, Parameter(help="What better is measured in: log_loss, auc or brier.")] = "log_loss"
    confidence: Annotated[float, Parameter(help="Of the interval of the paired gain, whose lower end must be above 0.")] = 0.95
    margin: Annotated[float, Parameter(help="Most that a segment of at least 100 rows and 30 users may be worse, where it surely is.")] = (
        0.01
    )


DEFAULT_DEMAND = Demand()
