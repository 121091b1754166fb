"""What every LightGBM model here is grown with, so that the same rows and the same seed give the same trees on the same machine."""

from __future__ import annotations

from typing import Any


def repeatable(*, seed: int, num_threads: int = 1) -> dict[str, Any]:
    """LightGBM's parameters of determinism, threads and silence; what a model is about is for its own module to say.

    Histograms are built by column: left to itself LightGBM tries out by rows and by columns and takes the faster, which on a busy machine
    is now this and now that, and their sums differ in the last bit.

    Parameters
    ----------
    seed
        Of the samples of rows and of inputs.
    num_threads
        Data of this size gains nothing from more than one, and contended threads wait for each other.

    Examples
    --------
    >>> repeatable(seed=7)
    {'num_threads': 1, 'deterministic': True, 'force_col_wise': True, 'verbosity': -1, 'seed': 7}
    """
    return {"num_threads": num_threads, "deterministic": True, "force_col_wise": True, "verbosity": -1, "seed": seed}
