"""What can stop a training run; every message names what was got, what was expected and what to do."""

from __future__ import annotations


class TrainingError(Exception):
    """The model could not be trained; nothing was registered."""


class EmptyLogError(TrainingError):
    """The raw log has no events; import some first."""


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
