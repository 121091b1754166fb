"""From a raw log to a registered model: plain functions over DataFrames, from a notebook or through ``python -m training``.

Read ``pipeline.py`` first. May import ``models``, ``features`` and ``serving.decision``; nothing that
serves imports this package.
"""
