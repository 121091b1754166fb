"""An alarm for what looks too good: one input that alone tells the outcome was most likely known only after it.

Above `FitParameters.leak_auc` (0.99) it stops the training; above `TOO_GOOD_AUC` it is named, and somebody should look.

Snapshots are refused unless they are of the row's own as_of (`features.adapters.feast_history`), and the kernel counts nothing that was
not known then. What neither can see is a fact that was written to a profile, or an event that was dated back, because of the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.signature import Signature
from training.calibrate import BoolArray, FloatArray
from training.errors import LeakError
from training.evaluate import auc
from training.frame import TrainingFrame

TOO_GOOD_AUC = 0.9
"""Inputs whose AUC alone is above it are named. None of the products here has one: the best alone are a decayed count of use in onboarding
(0.79), of study in the MOOC (0.87 with the labels of 30 days, 0.84 with those of the log), and of purchases in CDNOW (0.71)."""

_MIN_OF_EACH = 20  # outcomes of a kind; fewer are told apart by chance
_MAX_CATEGORIES = 50  # of more, each has so few rows that its rate is its outcome


def require_no_tell_tale(frame: TrainingFrame, signature: Signature, *, max_auc: float) -> dict[str, float]:
    """Refuse rows of which a single input orders the outcomes better than ``max_auc``, in either direction.

    Returns those above `TOO_GOOD_AUC` with their AUC, the best first: not refused, but to be looked at.

    A number is judged as it is, once with what is missing at its lower and once at its upper end; a category by the dropout rate of its
    rows. ``max_auc`` of 1 refuses nothing.

    Raises
    ------
    LeakError
        Naming the input, its AUC, and how to keep it.
    """
    outcomes = frame.outcomes
    if min(outcomes.sum(), (~outcomes).sum()) < _MIN_OF_EACH:
        return {}
    encoded = signature.encode(frame.vectors, frame.profiles())
    categorical = set(signature.categorical_inputs)
    too_good = {}
    for i, name in enumerate(signature.input_names):
        alone = _categorical_auc(encoded[:, i], outcomes) if i in categorical else _numeric_auc(encoded[:, i], outcomes)
        if alone > max_auc:
            raise LeakError(
                f"input {name} alone orders the outcomes of {len(outcomes)} rows with an AUC of {alone:.4f}, expected at most {max_auc:g}:"
                " it was most likely written because of the outcome; take it out of product.yaml, have it logged when it happens, or, if"
                " it was truly known at as_of, train with leak_auc=1"
            )
        if alone > TOO_GOOD_AUC:
            too_good[name] = alone
    return dict(sorted(too_good.items(), key=lambda each: -each[1]))


def said_of_too_good(too_good: Mapping[str, float]) -> str:
    """Name the inputs that look too good, for people; "" where there are none.

    Examples
    --------
    >>> said_of_too_good({"exit_survey": 0.94321})
    'looks too good: exit_survey (AUC 0.943 alone, above 0.9); check that it is known before the outcome'
    """
    if not too_good:
        return ""
    named = ", ".join(f"{name} (AUC {alone:.3f} alone, above {TOO_GOOD_AUC:g})" for name, alone in too_good.items())
    return f"looks too good: {named}; check that it is known before the outcome"


def _numeric_auc(values: FloatArray, outcomes: BoolArray) -> float:
    known = np.isfinite(values)
    if not known.any():
        return 0.5
    ends = (values[known].min() - 1, values[known].max() + 1) if not known.all() else (0.0,)
    found = [auc(np.where(known, values, end), outcomes) for end in ends]
    return max(max(each, 1 - each) for each in found)


def _categorical_auc(codes: FloatArray, outcomes: BoolArray) -> float:
    group = np.unique(codes, return_inverse=True, equal_nan=True)[1]
    if group.max() >= _MAX_CATEGORIES:
        return 0.5
    rates = np.bincount(group, outcomes) / np.bincount(group)
    return auc(rates[group], outcomes)
