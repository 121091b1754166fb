"""Ranges of what may be chosen, checked where it is kept, so that a command line, an entry point and a notebook hear the same sentence."""

from __future__ import annotations

import math

from training.errors import BadInputError, TrainingError

MOST_SEED = 2_000_000_000
"""Largest seed: LightGBM keeps its own in 32 bits, and those of further models are found by adding to it."""


def require_whole(name: str, value: int, *, least: int, most: int, advice: str, error: type[TrainingError] = BadInputError) -> None:
    """Nothing, if the number is whole and from ``least`` to ``most``.

    Parameters
    ----------
    advice
        What to do, for the end of the sentence.
    error
        What is raised.

    Raises
    ------
    TrainingError
        If not: of the kind ``error``.

    Examples
    --------
    >>> require_whole("steps", 4, least=1, most=100, advice="4 is the default")
    >>> require_whole("steps", 0, least=1, most=100, advice="4 is the default")
    Traceback (most recent call last):
    training.errors.BadInputError: steps: got 0, expected a whole number from 1 to 100; 4 is the default
    """
    if value != value or value % 1 != 0 or not least <= value <= most:  # noqa: PLR0124 - of NaN
        raise error(f"{name}: got {value}, expected a whole number from {least} to {most}; {advice}")


def require_number(name: str, value: float, *, above: float = -math.inf, least: float = -math.inf, most: float, advice: str) -> None:
    """Nothing, if the number is above ``above``, at least ``least`` and at most ``most``; NaN is neither.

    Raises
    ------
    BadInputError
        If not.

    Examples
    --------
    >>> require_number("timeout_s", 600.0, least=0.0, most=1e9, advice="600 is the default")
    >>> require_number("feature_fraction", float("nan"), above=0.0, most=1.0, advice="0.6 is the default")
    Traceback (most recent call last):
    training.errors.BadInputError: feature_fraction: got nan, expected a number above 0 and at most 1; 0.6 is the default
    """
    if not (above < value and least <= value <= most):
        low = f"above {above:g}" if above > -math.inf else f"of at least {least:g}"
        raise BadInputError(f"{name}: got {value}, expected a number {low} and at most {most:g}; {advice}")


def require_seed(seed: int, *, error: type[TrainingError] = BadInputError) -> None:
    """Nothing, if all random numbers can be drawn from this seed.

    Raises
    ------
    TrainingError
        If not: of the kind ``error``.
    """
    require_whole("seed", seed, least=0, most=MOST_SEED, advice="0 is the default, and any other one gives other draws", error=error)
