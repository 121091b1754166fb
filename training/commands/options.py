"""Options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from training.explanation_budget import MOST_MS
from training.freshness import STALE_AFTER_DAYS

_LABELS = 'A labels log of the product, or "implied": outcomes that the log itself implies. Empty: the first labels log, else implied.'

_BUDGET = "Most milliseconds that one explanation of a champion takes; a slower version stays challenger. 0: however long it takes."


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Log:
    """Which rows are meant."""

    product: Annotated[Path, Parameter(help="Folder with product.yaml and policy.yaml.")] = Path("products/onboarding")
    home: Annotated[Path, Parameter(help="State directory that the log was imported into.")] = Path(".stillhere")
    labels: Annotated[str, Parameter(help=_LABELS)] = ""
    seed: Annotated[int, Parameter(help="The same seed on the same log gives the same result.")] = 0
    stale_after_days: Annotated[int, Parameter(help="A log that ends longer ago is refused; 0: any age will do.")] = STALE_AFTER_DAYS


DEFAULT_LOG = Log()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Trees:
    """How trees are grown."""

    max_rounds: Annotated[int, Parameter(help="Most trees; early stopping usually ends sooner.")] = 300
    max_depth: Annotated[int, Parameter(help="Deepest tree; deeper trees make explanations slower.")] = 5
    parameters: Annotated[
        str, Parameter(help="A file of LightGBM's parameters, as tune writes it; max_rounds and max_depth then come from there.")
    ] = ""
    explanation_budget_ms: Annotated[float, Parameter(help=_BUDGET)] = MOST_MS


DEFAULT_TREES = Trees()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Whether parameters are searched before training."""

    tune_trials: Annotated[int, Parameter(help="Search parameters first, with so many trials; 0: do not.")] = 0
    tune_timeout_s: Annotated[float, Parameter(help="Most seconds for all of these trials.")] = 600.0


DEFAULT_TUNING = Tuning()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a challenger must show."""

    metric: Annotated[str, Parameter(help="What better is measured in: log_loss, auc or brier.")] = "log_loss"
    confidence: Annotated[float, Parameter(help="Of the interval of the paired gain, whose lower end must be above 0.")] = 0.95
    margin: Annotated[float, Parameter(help="Most that a segment of at least 100 rows and 30 users may be worse, where it surely is.")] = (
        0.01
    )
    explanation_budget_ms: Annotated[float, Parameter(help=_BUDGET)] = MOST_MS


DEFAULT_DEMAND = Demand()
