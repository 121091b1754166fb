"""MLflow runs this file to rebuild a logged model ("models from code"): a DataFrame in, risks out, from the bundle alone.

It is not imported by our own code; ``set_model`` at the end is how MLflow finds the object.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from models.bundle import load_bundle
from models.signature import profiles_from_columns

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of type hints of its own
    import mlflow.models
    import mlflow.pyfunc


class RiskOfDropout(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """P(no activity within the horizon) for rows of named features and attributes."""

    def load_context(self, context: Any) -> None:
        """Load and verify the bundle that travels with the model."""
        self._bundle = load_bundle(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Risk in [0, 1], one row per input row, in a column ``risk``; a missing attribute column counts as unset."""
        signature = self._bundle.signature
        vectors = model_input[list(signature.feature_names)].to_numpy(dtype="float64")
        levels = [] if self._bundle.levels is None else [self._bundle.levels.attribute]
        given = [name for name in [*(a.name for a in signature.attributes), *levels] if name in model_input.columns]
        profiles = profiles_from_columns({name: model_input[name].tolist() for name in given}, n_rows=len(model_input))
        return pd.DataFrame({"risk": self._bundle.risk(vectors, profiles)}, index=model_input.index)


mlflow.models.set_model(RiskOfDropout())
