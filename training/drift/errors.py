"""What can stop drift from being measured; each says what was got, what was expected and what to do."""

from __future__ import annotations

from training.errors import TrainingError


class TooFewLiveRowsError(TrainingError):
    """Too few live users to compare."""
