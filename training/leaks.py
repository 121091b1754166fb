"""An alarm for what looks too good: one input that alone tells the outcome was most likely known only after it.

Snapshots are refused unless they are of the row's own as_of (`features.adapters.feast_history`), and the kernel counts nothing that was
not known then. What neither can see is a fact that was written to a profile, or an event that was dated back, because of the outcome.
"""

from __future__ import annotations

import numpy as np

from models.signature import Signature
from training.calibrate import BoolArray, FloatArray
from training.errors import LeakError
from training.evaluate import auc
from training.frame import TrainingFrame

_MIN_OF_EACH = 20  # outcomes of a kind; fewer are told apart by chance
_MAX_CATEGORIES = 50  # of more, each has so few rows that its rate is its outcome


def require_no_tell_tale(frame: TrainingFrame, signature: Signature, *, max_auc: float) -> None:
    """Refuse rows of which a single input orders the outcomes better than ``max_auc``, in either direction.

    A number is judged as it is, once with what is missing at its lower and once at its upper end; a category by the dropout rate of its
    rows. ``max_auc`` of 1 refuses nothing.

    Raises
    ------
    LeakError
        Naming the input, its AUC, and how to keep it.
    """
    outcomes = frame.outcomes
    if max_auc >= 1 or min(outcomes.sum(), (~outcomes).sum()) < _MIN_OF_EACH:
        return
    encoded = signature.encode(frame.vectors, frame.profiles())
    categorical = set(signature.categorical_inputs)
    for i, name in enumerate(signature.input_names):
        alone = _categorical_auc(encoded[:, i], outcomes) if i in categorical else _numeric_auc(encoded[:, i], outcomes)
        if alone > max_auc:
            raise LeakError(
                f"input {name} alone orders the outcomes of {len(outcomes)} rows with an AUC of {alone:.4f}, expected at most {max_auc:g}:"
                " it was most likely written because of the outcome; take it out of product.yaml, have it logged when it happens, or, if"
                " it was truly known at as_of, train with leak_auc=1"
            )


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
