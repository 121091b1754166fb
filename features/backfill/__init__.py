"""Backfill: from the raw log to arrays for the batch kernel, feature snapshots, labels and a data fingerprint.

Here: reading and arranging history. Not here: what a feature or a label means (features.core).
May import features.ingest, features.ports, features.declarations, features.home and features.core.
"""
