"""How a rule says its word: a verdict with its code and its sentence."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from serving.decision.sentences import PASSED, REFUSED
from serving.decision.values import Verdict

EVERY_ARM = "*"

_REMEMBERED = 4096
"""Most verdicts are said again and again ("The user has consented."): making one costs several times what finding it does.

One with a number that hardly ever comes again (a risk) is made anew, or it would push those out: `newly_passed`, `newly_refused`.
"""


@lru_cache(maxsize=_REMEMBERED, typed=True)
def passed(arm: str, rule: str, saying: str = "", **facts: Any) -> Verdict:
    """The rule has nothing against it. ``saying`` picks the sentence where it is not named as the rule.

    Examples
    --------
    >>> passed("outreach/email", "evidence", n_events=12, min_events=5).sentence
    '12 events are known; 5 are enough.'
    """
    return newly_passed(arm, rule, saying, **facts)


def newly_passed(arm: str, rule: str, saying: str = "", **facts: Any) -> Verdict:
    """`passed`, not remembered."""
    return Verdict(arm=arm, rule=rule, passed=True, code="ok", sentence=PASSED[saying or rule].format(**facts))


@lru_cache(maxsize=_REMEMBERED, typed=True)
def held(arm: str, rule: str, code: str, sentence: str) -> Verdict:
    """A rule that the policy declares closes the arm, in the policy's own words.

    Examples
    --------
    >>> held("outreach/email", "guardrail:open_ticket", "held_by_open_ticket", "A ticket is open.").passed
    False
    """
    return Verdict(arm=arm, rule=rule, passed=False, code=code, sentence=sentence)


@lru_cache(maxsize=_REMEMBERED, typed=True)
def refused(arm: str, rule: str, code: str, *, allowed_from_us: int | None = None, **facts: Any) -> Verdict:
    """The rule closes the arm, for the reason ``code``.

    Examples
    --------
    >>> refused("*", "consent", "no_consent", attribute="marketing").sentence
    'The user has not consented to being contacted (marketing is not true).'
    """
    return newly_refused(arm, rule, code, allowed_from_us=allowed_from_us, **facts)


def newly_refused(arm: str, rule: str, code: str, *, allowed_from_us: int | None = None, **facts: Any) -> Verdict:
    """`refused`, not remembered."""
    return Verdict(arm=arm, rule=rule, passed=False, code=code, sentence=REFUSED[code].format(**facts), allowed_from_us=allowed_from_us)
