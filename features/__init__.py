"""Events to timelines to feature vectors: one definition for training and serving.

``core`` is pure; ``declarations`` reads product files; ``ingest`` and ``backfill`` move data through the ports; ``adapters`` talk to Feast,
Redis and Parquet.
"""
