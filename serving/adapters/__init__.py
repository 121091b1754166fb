"""The ports of serving over Redis, MLflow and Parquet, each with a twin in memory where tests need one."""
