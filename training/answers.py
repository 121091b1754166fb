"""Is it better, for whom, and how sure is that: three lines which MLflow's comparison of runs shows first, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from training.compare import SegmentGain
from training.frame import USER, TrainingFrame
from training.review import CHAMPION, RECENCY, Review
from training.tables import in_words

_METRIC = "log_loss"
_WORDS = {"better": "better for", "worse": "worse for", "unclear": "not to be told apart for"}
_MOST_NAMED = 12


def answers(review: Review, test: TrainingFrame, *, beside: str | None) -> dict[str, str]:
    """Name and text of each answer, beside the champion; without one, beside recency alone.

    Parameters
    ----------
    beside
        Version of the champion; None without one.
    """
    over = CHAMPION if CHAMPION in review.gains else RECENCY
    gain = review.gains[over][_METRIC]
    name = f"champion version {beside}" if over == CHAMPION else "recency alone; there is no champion beside it"
    gains = [each for each in review.segment_gains if each.over == over and each.metric == _METRIC]
    users = test.rows[USER].nunique()
    return {
        "answer.better": f"{in_words(gain)}: log loss {gain.value:+.4f} over {name}",
        "answer.for_whom": "; ".join(_for_whom(gains)) or "no segments were learned or declared",
        "answer.sure": f"95 % interval {gain.low:+.4f} to {gain.high:+.4f}, of {len(test.rows)} rows of {users} users, by user",
    }


def _for_whom(gains: Sequence[SegmentGain]) -> Iterator[str]:
    for word, said in _WORDS.items():
        names = [f"{each.segmentation}/{each.segment}" for each in gains if in_words(each.gain) == word]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        if names:
            yield f"{said} {', '.join(names[:_MOST_NAMED])}{more}"
