"""Would a model of other users name the same cause? Agreement of the top cause across bootstrap refits, and the lead that makes it sure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.attribution import matrix_by_cause
from models.cause_stability import NEVER, CauseStability
from training.errors import TrainingError
from training.fit import grow
from training.frame import USER, TrainingFrame, causes_of
from training.pipeline import Report, TrainedModel, encode, say_nothing

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

N_REFITS = 8
LEAST_AGREEMENT = 0.8
_EXPLAINED_ROWS = 1_000
_LEAST_ROWS = 20
_ONE_SIDED = 1.645  # standard errors below a mean that hold with 95 % confidence
_NO_CAUSE = -1
_STAGE = "measuring stability of causes"


class StabilityError(TrainingError):
    """The stability of causes cannot be measured."""


def with_cause_stability(
    trained: TrainedModel, actionable: Collection[str], *, n_refits: int = N_REFITS, seed: int = 0, report: Report = say_nothing
) -> TrainedModel:
    """Add the measured stability to a trained model's bundle, and its figures to what the bundle says about itself.

    Parameters
    ----------
    actionable
        Causes that some message remedies; others are never named.

    Raises
    ------
    StabilityError
        If no actionable cause is a cause of the model's inputs.
    """
    signature, slices = trained.content.signature, trained.slices
    causes = causes_of(slices.train.product)
    of_inputs = tuple(causes[name] for name in signature.input_names)
    sample = slices.calibration.at(np.linspace(0, len(slices.calibration.rows) - 1, _EXPLAINED_ROWS).astype(np.int64))
    rows = encode(sample, signature)
    names = _actionable(of_inputs, actionable)
    refits = []
    for refit in range(n_refits):
        report(_STAGE, refit / n_refits)
        frames = [drawn_by_user(frame, seed=seed + 1 + refit) for frame in (slices.train, slices.stop)]
        text = grow(frames, signature, parameters=trained.parameters, seed=seed, rounds=trained.fitted.rounds)
        refits.append(sums_by_cause(text, rows, of_inputs, names))
    report(_STAGE, 1.0)
    own = sums_by_cause(trained.content.model_text, rows, of_inputs, names)
    found = stability_of(own, refits, names, users=sample.rows[USER].to_numpy(), seed=seed)
    about = {**trained.content.about, "cause_stability": found.to_json()}
    return replace(trained, content=replace(trained.content, cause_stability=found, about=about))


def stability_of(
    own: FloatArray,
    refits: Sequence[FloatArray],
    names: Sequence[str],
    *,
    users: npt.ArrayLike,
    least_agreement: float = LEAST_AGREEMENT,
    seed: int = 0,
) -> CauseStability:
    """Agreement of each row's top cause with those of the refits, and the least lead of each cause at which its agreement suffices.

    The leads are solved on half of the users; the agreement they give is reported on the others. A cause that agrees too seldom, or is on
    top of too few rows to tell, is never named, however well the others do.

    Parameters
    ----------
    own, refits
        Log-odds by actionable cause, shape (n_rows, n_causes), of the model and of each refit on the same rows.
    names
        Of the causes.

    Examples
    --------
    >>> own = np.array([[2.0, 0.1], [0.2, 0.1]] * 50)
    >>> other = np.array([[2.0, 0.1], [0.1, 0.2]] * 50)
    >>> found = stability_of(own, [own, other], ["friction", "silence"], users=np.arange(100))
    >>> found.agreement, found.min_lead, found.stable_share
    (0.75, 1.9, 0.5)
    >>> found.min_lead_by_cause
    {'friction': 1.9, 'silence': 1000.0}
    """
    top, lead = top_cause(own), lead_of(own)
    agreement = np.mean([top_cause(refit) == top for refit in refits], axis=0)
    named = top != _NO_CAUSE
    solving = _half_of(users, seed)
    of_cause = {name: top == code for code, name in enumerate(names)}
    leads = {name: least_lead(lead[mine & solving], agreement[mine & solving], least_agreement) for name, mine in of_cause.items()}
    stable = np.any([mine & (lead >= leads[name]) for name, mine in of_cause.items()], axis=0)
    return CauseStability(
        min_lead=least_lead(lead[named & solving], agreement[named & solving], least_agreement),
        least_agreement=least_agreement,
        agreement=_mean(agreement[named]),
        agreement_of_stable=_mean(agreement[stable & ~solving]),
        stable_share=float(stable.sum() / max(1, named.sum())),
        agreement_by_cause={name: _mean(agreement[mine]) for name, mine in of_cause.items() if mine.any()},
        n_refits=len(refits),
        min_lead_by_cause=leads,
        agreement_of_stable_by_cause={
            name: _mean(agreement[mine & stable & ~solving]) for name, mine in of_cause.items() if (mine & stable & ~solving).any()
        },
        stable_share_by_cause={name: float(stable[mine].mean()) for name, mine in of_cause.items() if mine.any()},
    )


def top_cause(sums: FloatArray) -> IntArray:
    """Column of the cause that raises the risk most, shape (n_rows,); -1 where none does."""
    return np.where(sums.max(axis=1) > 0, sums.argmax(axis=1), _NO_CAUSE).astype(np.int64)


def lead_of(sums: FloatArray) -> FloatArray:
    """Log-odds by which the top cause exceeds the next, or 0 where no other raises the risk; shape (n_rows,), at least 0.

    Examples
    --------
    >>> lead_of(np.array([[1.5, 0.5], [1.5, -0.5], [-1.0, -2.0]])).tolist()
    [1.0, 1.5, 0.0]
    """
    ordered = np.sort(np.column_stack([np.maximum(sums, 0.0), np.zeros(len(sums))]), axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2], dtype=np.float64)


def least_lead(lead: FloatArray, agreement: FloatArray, least_agreement: float) -> float:
    """The least lead from which on the mean agreement is at least this, with 95 % confidence; `NEVER` where there is none.

    The bound is one-sided and normal, over at least 20 rows: solved on the mean alone, the agreement of other users falls short.

    Examples
    --------
    >>> least_lead(np.repeat([3.0, 2.0, 1.0], 100), np.repeat([1.0, 0.7, 0.4], 100), 0.8)
    2.0
    """
    order = np.argsort(-lead, kind="stable")
    n_rows = np.arange(1, len(order) + 1)
    means = np.cumsum(agreement[order]) / n_rows
    spread = np.sqrt(np.maximum(np.cumsum(agreement[order] ** 2) / n_rows - means**2, 0.0) / n_rows)
    last_of_equals = np.append(np.diff(lead[order]) != 0, True)[: len(order)]
    enough = np.flatnonzero((means - _ONE_SIDED * spread >= least_agreement) & last_of_equals & (n_rows >= _LEAST_ROWS))
    return float(lead[order][enough[-1]]) if len(enough) else NEVER


def drawn_by_user(frame: TrainingFrame, *, seed: int) -> TrainingFrame:
    """A bootstrap sample of the frame's users, all rows of a user together."""
    codes, users = np.unique(frame.rows[USER].to_numpy(), return_inverse=True)[1], frame.rows[USER].nunique()
    counts = np.bincount(np.random.default_rng(seed).integers(0, users, size=users), minlength=users)
    return frame.at(np.repeat(np.arange(len(codes)), counts[codes]).astype(np.int64))


def sums_by_cause(model_text: str, rows: FloatArray, of_inputs: tuple[str, ...], names: Sequence[str]) -> FloatArray:
    """TreeSHAP log-odds of the causes named, shape (n_rows, n_names)."""
    import lightgbm

    values = lightgbm.Booster(model_str=model_text).predict(rows, pred_contrib=True, num_threads=1)
    found, sums = matrix_by_cause(np.asarray(values, dtype=np.float64), of_inputs)
    return sums[:, [found.index(name) for name in names]]


def _actionable(of_inputs: Sequence[str], actionable: Collection[str]) -> list[str]:
    names = [name for name in dict.fromkeys(of_inputs) if name in actionable]
    if not names:
        raise StabilityError(
            f"no actionable cause: messages remedy {sorted(actionable)}, features have {sorted(set(of_inputs))}; expected one in both"
        )
    return names


def _half_of(users: npt.ArrayLike, seed: int) -> BoolArray:
    codes = np.unique(np.asarray(users), return_inverse=True)[1].reshape(-1)
    return np.asarray((np.random.default_rng(seed).permutation(codes.max(initial=0) + 1) % 2 == 0)[codes], dtype=bool)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
