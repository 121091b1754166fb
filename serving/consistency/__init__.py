"""Consistency: recompute what decisions were made on from the raw log, and count where the two differ.

Three numbers, as Chronon counts them, per feature and in all: *mismatch* (both are numbers, and not the same), *missing* (the log gives a
number, the decision had none) and *extra* (the decision had a number, the log gives none). Two things are no inconsistency and are said
apart: *freshness*, how old the newest event was that a decision knew; and *lag*, events that had been received by then and were not merged
yet.
"""

from serving.consistency.checker import Checker
from serving.consistency.report import ConsistencyReport, Counts, Difference, Spread

__all__ = ["Checker", "ConsistencyReport", "Counts", "Difference", "Spread"]
