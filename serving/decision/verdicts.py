"""How a rule says its word: a verdict with its code, its sentence and its JSON."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from serving.decision.canonical import canonical, iso_or_null
from serving.decision.sentences import PASSED, REFUSED
from serving.decision.values import Verdict

EVERY_ARM = "*"

remembered = lru_cache(maxsize=2048, typed=True)
"""For what a rule says of the few things that it depends on: "The user has consented." is said again and again.

Making a verdict costs ten times what finding it does. A rule makes those that depend on the policy alone when it is prepared, and remembers
those that depend on a minute, a day, a small number, or a risk of three digits.
"""


def passed(arm: str, rule: str, saying: str = "", **facts: Any) -> Verdict:
    """The rule has nothing against it. ``saying`` picks the sentence where it is not named as the rule.

    Examples
    --------
    >>> passed("outreach/email", "evidence", n_events=12, min_events=5).sentence
    '12 events are known; 5 are enough.'
    """
    return _verdict(arm, rule, "ok", PASSED[saying or rule].format(**facts))


def held(arm: str, rule: str, code: str, sentence: str) -> Verdict:
    """A rule that the policy declares closes the arm, in the policy's own words.

    Examples
    --------
    >>> held("outreach/email", "guardrail:open_ticket", "held_by_open_ticket", "A ticket is open.").passed
    False
    """
    return _verdict(arm, rule, code, sentence)


def refused(arm: str, rule: str, code: str, *, allowed_from_us: int | None = None, **facts: Any) -> Verdict:
    """The rule closes the arm, for the reason ``code``.

    Examples
    --------
    >>> refused("*", "consent", "no_consent", attribute="marketing").sentence
    'The user has not consented to being contacted (marketing is not true).'
    """
    return _verdict(arm, rule, code, REFUSED[code].format(**facts), allowed_from_us)


def _verdict(arm: str, rule: str, code: str, sentence: str, allowed_from_us: int | None = None) -> Verdict:
    is_passed, allowed_from = code == "ok", iso_or_null(allowed_from_us)
    said = {"arm": arm, "rule": rule, "passed": is_passed, "code": code, "sentence": sentence, "allowed_from": allowed_from}
    return Verdict(arm, rule, is_passed, code, sentence, allowed_from_us, canonical(said))
