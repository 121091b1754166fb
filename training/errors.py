"""What can stop a training run; every message names what was got, what was expected and what to do."""

from __future__ import annotations


class TrainingError(Exception):
    """The model could not be trained; nothing was registered."""


class EmptyLogError(TrainingError):
    """The raw log has no events; import some first."""


class StaleLogError(TrainingError):
    """The log ends long before now; what it says is not about the present."""


class TooLittleDataError(TrainingError):
    """Too few rows, or a log too short for the horizon."""


class NoMatureLabelsError(TrainingError):
    """No row's outcome is known yet: the log ends before the first horizon does."""


class OneClassError(TrainingError):
    """Every row of a slice has the same outcome, so there is nothing to learn or to measure."""


class UnknownLabelsError(TrainingError):
    """The product declares no labels log of that name."""


class LeakError(TrainingError):
    """A row knows something that was not known at its as_of."""


class SimulationError(TrainingError):
    """The world asked for cannot be simulated."""


class BadInputError(TrainingError):
    """A number that a model cannot be grown from, or parameters that it cannot be grown with."""


class RegistryError(TrainingError):
    """MLflow or its store could not be reached, or refused; what was registered before still is."""


class UnknownVersionError(TrainingError):
    """The registry has no such version, alias or run."""


class NotComparableError(TrainingError):
    """Two models cannot be compared fairly: there are no rows that neither has learned from."""


class PromotionRefusedError(TrainingError):
    """The gate did not pass, or what was judged is no longer what is registered; the champion stays."""
