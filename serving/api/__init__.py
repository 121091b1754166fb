"""The public HTTP interface: one FastAPI app, one error shape, one OpenAPI 3.1 document.

Routes translate; what they translate to is in ``serving.use_case`` and ``features.ingest.admission``. Nothing here knows Redis, Feast or
MLflow.
"""
