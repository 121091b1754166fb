"""What one would write first: flat features through the Feast SDK, a DataFrame, LightGBM, SHAP's TreeExplainer built once.

No policy, no caps, nothing remembered.

Served by `benchmarks.bench_decide` beside the real service, with BentoML as it comes, one worker, over the same Redis.
"""

from __future__ import annotations

import os
from typing import Any

import bentoml


@bentoml.service(name="naive")
class Naive:
    def __init__(self) -> None:
        import lightgbm
        import shap
        from feast import FeatureStore

        self.store = FeatureStore(repo_path=os.environ["NAIVE_REPO"])
        self.model = lightgbm.Booster(model_file=os.environ["NAIVE_MODEL"])
        self.explainer = shap.TreeExplainer(self.model)
        self.columns = self.model.feature_name()
        self.names = [feature.name for feature in self.store.get_feature_view("flat").features]

    @bentoml.api(route="/decide")
    def decide(self, user_id: str) -> dict[str, Any]:
        import pandas as pd

        features = self.store.get_online_features([f"flat:{name}" for name in self.names], [{"user_id": user_id}]).to_dict()
        row = pd.DataFrame({column: [features[name][0]] for column, name in zip(self.columns, self.names, strict=False)}, dtype=float)
        row = row.reindex(columns=self.columns)  # profile attributes are left out: NaN
        risk = float(self.model.predict(row)[0])
        contributions = self.explainer.shap_values(row)[0]
        reason = self.columns[int(contributions.argmax())]
        return {"user_id": user_id, "risk": risk, "reason": reason, "action": "send" if risk > 0.5 else "none"}
