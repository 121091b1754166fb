"""What the model is always shown beside: a logistic regression, and recency alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Aggregation
from features.core.product import Product
from models.calibration import CalibrationMethod
from models.signature import Signature
from training.calibrate import fit_calibration
from training.frame import TrainingFrame, learn_signature

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FloatArray = npt.NDArray[np.float64]

_NEVER_S = 1e12  # longer ago than any event


def recency_feature(product: Product) -> str | None:
    """Name of the feature that is the time since the last activity, or the nearest to it; None where the catalogue has none.

    It ranges over exactly the label's activity kinds if the catalogue has such a feature, else over as much of them, and as little else,
    as possible.
    """
    activity = set(product.label.activity)
    candidates = [f for f in product.catalogue.features if f.aggregation is Aggregation.SECONDS_SINCE_LAST]
    if not candidates:
        return None
    return max(candidates, key=lambda f: (len(activity & set(f.kinds)) - len(set(f.kinds) - activity), f.window is None)).name


def recency_scores(frame: TrainingFrame) -> FloatArray | None:
    """Seconds since the last activity, shape (n_rows,); a user without any counts as away for ever."""
    name = recency_feature(frame.product)
    if name is None:
        return None
    seconds: FloatArray = frame.rows[name].to_numpy(dtype=np.float64, copy=True)
    seconds[np.isnan(seconds)] = _NEVER_S
    return seconds


def recency_probabilities(fitted_on: FloatArray, outcomes: npt.NDArray[np.bool_], scores: FloatArray) -> FloatArray:
    """Turn recency into probabilities by an isotonic fit on the training slice, so that Brier and log loss can be compared."""
    return fit_calibration(CalibrationMethod.ISOTONIC, fitted_on, outcomes).apply(scores)


def logistic_scores(learn: TrainingFrame, test: TrainingFrame, seed: int) -> FloatArray:
    """Probabilities of a logistic regression on the same inputs as the model's, learned from ``learn``, shape (n_test_rows,)."""
    signature = learn_signature(learn)
    model = logistic_regression(signature, seed=seed)
    model.fit(signature.encode(learn.vectors, learn.profiles()), learn.outcomes)
    probabilities: FloatArray = model.predict_proba(signature.encode(test.vectors, test.profiles()))[:, 1]
    return probabilities


def logistic_regression(signature: Signature, *, inverse_penalty: float = 1.0, seed: int) -> Pipeline:
    """A logistic regression over encoded rows, to be fitted.

    Numbers go through log(1 + |x|) with their sign, since counts and times are heavy-tailed, then are standardised; what is missing
    becomes the mean, with an indicator beside it; categories become indicators.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    categorical = list(signature.categorical_inputs)
    numeric = [i for i in range(len(signature.input_names)) if i not in set(categorical)]
    numbers = make_pipeline(FunctionTransformer(_signed_log), SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
    codes = OneHotEncoder(handle_unknown="ignore")  # what is missing is a category too
    inputs = ColumnTransformer([("numbers", numbers, numeric), ("codes", codes, categorical)])
    return make_pipeline(inputs, LogisticRegression(C=inverse_penalty, max_iter=1000, random_state=seed))


def _signed_log(numbers: FloatArray) -> FloatArray:
    scaled: FloatArray = np.sign(numbers) * np.log1p(np.abs(numbers))
    return scaled
