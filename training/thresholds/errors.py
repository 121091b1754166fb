"""What can stop thresholds from being solved or watched; each says what was got, what was expected and what to do."""

from __future__ import annotations

from training.errors import TrainingError


class TooFewRowsError(TrainingError):
    """Too few users with a known outcome to say anything about an alert error."""


class UnattainableBoundError(TrainingError):
    """No threshold keeps the alert error within its bound with the confidence asked for."""


class ForeignReceiptsError(TrainingError):
    """Receipts of another product, or of features that mean something else now."""


class NoReceiptsError(TrainingError):
    """No decision with a risk was exported."""


class PolicyTextError(TrainingError):
    """The thresholds cannot be written into policy.yaml without touching anything else."""


class NoChampionError(TrainingError):
    """The registry has no champion whose thresholds could be solved."""


class BadOptionError(TrainingError):
    """An option is outside its range."""
