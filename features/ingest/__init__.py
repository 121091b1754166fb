"""Ingest: from wire events and external logs to admitted events, the raw log and merged timelines.

Here: what is acceptable, how files are read by declaration, the order of the steps. Not here: where things are stored (adapters, behind
ports).
May import features.backfill, features.ports, features.declarations, features.home and features.core.
"""
