"""Bootstrap samples of users, drawn once for all figures of a log, so that differences are paired and many figures cost one pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from training.evaluate import Interval

FloatArray = npt.NDArray[np.float64]

_BLOCK = 50
_KEPT = 200_000_000
"""Most bytes of counts that are kept between figures; larger samples are drawn again, with the same seed."""


class GroupDraws:
    """Samples with as many groups as there are, with replacement, all rows of a group together.

    References
    ----------
    Field, Welsh (2007), Bootstrapping clustered data, doi:10.1111/j.1467-9868.2007.00593.x.

    Examples
    --------
    >>> draws = GroupDraws(["ann", "ann", "bob"], n_draws=200, seed=0)
    >>> interval_of(draws.ratios(np.array([[1.0], [2.0], [3.0]]), np.ones((3, 1)))[0]).value
    2.0
    """

    def __init__(self, groups: npt.ArrayLike, *, n_draws: int, seed: int) -> None:
        codes = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
        self._codes = codes
        self._n_groups = int(codes.max(initial=-1)) + 1
        self._n_draws = n_draws
        self._seed = seed
        self._blocks: list[npt.NDArray[np.uint16]] | None = None

    def ratios(self, numerators: FloatArray, denominators: FloatArray) -> list[FloatArray]:
        """Sum of a column of numerators over the sum of its denominators: first the value on all rows, then one for each sample.

        Shapes (n_rows, n_figures), and the same or (n_rows, 1) for denominators that are common to all.
        """
        n_figures = numerators.shape[1]
        rows = np.concatenate([numerators, denominators], axis=1)
        sums = np.concatenate([rows.sum(axis=0, keepdims=True), self._sums(rows)])
        below = np.broadcast_to(sums[:, n_figures:], (len(sums), n_figures))
        return list(np.divide(sums[:, :n_figures], below, out=np.full(below.shape, np.nan), where=below > 0).T)

    def _sums(self, rows: FloatArray) -> FloatArray:
        """Sums of the columns in each sample, shape (n_draws, n_columns)."""
        by_group = np.column_stack([np.bincount(self._codes, weights=column, minlength=self._n_groups) for column in rows.T])
        return np.concatenate([block.astype(np.float64) @ by_group for block in self._counts()])

    def _counts(self) -> Iterator[npt.NDArray[np.uint16]]:
        if self._blocks is not None:
            yield from self._blocks
            return
        keep = self._n_draws * self._n_groups * 2 <= _KEPT
        blocks = []
        rng = np.random.default_rng(self._seed)
        for start in range(0, self._n_draws, _BLOCK):
            block = np.stack([self._drawn(rng) for _ in range(min(_BLOCK, self._n_draws - start))])
            blocks += [block] if keep else []
            yield block
        self._blocks = blocks if keep else None

    def _drawn(self, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
        return np.bincount(rng.integers(0, self._n_groups, size=self._n_groups), minlength=self._n_groups).astype(np.uint16)


def interval_of(values: FloatArray) -> Interval:
    """Interval of a figure from `GroupDraws.ratios`: its value on all rows, and the 2.5 and 97.5 % points of the samples."""
    if not np.isfinite(values[1:]).any():
        return Interval(value=float(values[0]), low=float("nan"), high=float("nan"))
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return Interval(value=float(values[0]), low=float(low), high=float(high))
