"""Deciding about users: read what is known, score, decide, remember; and stay an answer when something is missing.

Knows ports, not adapters. Missing stores, models and ledgers are turned into degraded inputs here and nowhere else.
"""

from serving.use_case.following import CurrentDecider, Followed, Follower
from serving.use_case.service import DecisionService
from serving.use_case.settle import DecisionAnswer

__all__ = ["CurrentDecider", "DecisionAnswer", "DecisionService", "Followed", "Follower"]
