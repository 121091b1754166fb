"""What a model is: signature, bundle, risk, attribution, calibration. Training writes it, serving reads it.

Needs numpy and LightGBM's native library, nothing else: no MLflow, pandas or scikit-learn is imported to
answer a request. May import ``features.core``.
"""
