"""Every reason code, and what it says to people. One code, one sentence, one golden case."""

from __future__ import annotations

from datetime import datetime
from typing import Final

REFUSED: Final = {
    "user_erased": "Everything about this user was erased, and nothing is known or remembered since.",
    "ledger_unavailable": "The record of past contacts cannot be read, so no cap could be guaranteed.",
    "cap_contended": "Other decisions for this user took the last slot of {window} each time this one tried.",
    "features_unavailable": "The user's behaviour cannot be read, so nothing is known that would justify a contact.",
    "features_stale": "Nothing new became known of this user for longer than the policy allows{limit}: what is known may no longer hold.",
    "timeline_newer": "The timeline of user {user_id!r} was written by a newer version of Stillhere: upgrade this process.",
    "profile_unavailable": "The user's profile cannot be read, so consent cannot be shown.",
    "no_consent": "The user has not consented to being contacted ({attribute} is not true).",
    "suppressed": "The user is on the suppression list ({attribute} is true).",
    "holdout": "The user is one of the {share:.1%} who are never contacted, so that the worth of contacting can be measured.",
    "switched_off": "{what} is switched off by the policy.",
    "not_available": "{channel} does not reach the user ({attribute} is not true).",
    "suppressed_after": "The message {message} is too close; for a while after it nothing else of its class is sent.",
    "slot_price": "The contact is expected to take away {worth} of risk; one of the few that are left must take away {price}.",
    "explored_none": "Chance chose to send nothing, to measure what contact is worth.",
    "explored_another": "Chance chose another open arm, to measure what each is worth.",
    "another_arm_first": "It could be sent now; an arm that the policy prefers is open too.",
    "no_opt_in": "The user has not opted in to {channel} ({attribute} is not true).",
    "model_missing": "There is no risk score, and {reason}.",
    "too_little_evidence": "Only {n_events} events are known of this user; {min_events} are needed first.",
    "no_trigger": "Nothing happened that calls for a message of the class {message_class}.",
    "risk_below_threshold": "The risk {risk} is below the threshold {threshold}.",
    "quiet_hours": "It is {now} for the user, within quiet hours from {start} to {end}.",
    "no_message": "The policy has no message for {channel}.",
    "cooldown": "The message {message} was sent or is planned for {last}; it rests for {cooldown}.",
    "cap_reached": "The cap {cap} is reached: {count} of {limit} contacts {when}.",
    "rate_limited": "The rate limit {rate} has no room: at most {limit} contacts of all users in {per}.",
}
"""By reason code: why a rule did not pass."""

PASSED: Final = {
    "ledger": "Past contacts are known.",
    "features": "The user's behaviour is known.",
    "stale": "Nothing new became known of this user for longer than the policy allows{limit}; it lets help be given all the same.",
    "consent": "The user has consented.",
    "suppression_list": "The user is not on the suppression list.",
    "holdout": "The user is not in the holdout.",
    "switched_off": "Nothing of it is switched off.",
    "available": "{channel} reaches the user.",
    "guardrail": "Nothing of what the policy's guardrails look for is the case.",
    "suppression": "No message that would suppress others is close.",
    "price": "The contact is expected to take away {worth} of risk; its slot costs {price}.",
    "opt_in": "The user can be reached by {channel}.",
    "model": "The risk is {risk}.",
    "evidence": "{n_events} events are known; {min_events} are enough.",
    "trigger": "{sentence}",
    "quiet_hours": "It is {now} for the user, outside quiet hours.",
    "moved": "It is {now} for the user, within quiet hours; the moment moves to their end at {end}.",
    "message": "The message is {message}.",
    "cooldown": "The message {message} has rested.",
    "cap": "{count} of {limit} contacts {when}.",
}
"""By rule: what is said when it passes."""


def clock(wall: datetime) -> str:
    """Local wall clock to the minute: ``08:00``."""
    return f"{wall.hour:02d}:{wall.minute:02d}"


def day_and_clock(wall: datetime) -> str:
    """Local day and wall clock: ``2026-03-02 08:00``."""
    return f"{wall.date().isoformat()} {clock(wall)}"


def clock_of_minute(minute: int) -> str:
    """Wall clock of a minute of the day.

    Examples
    --------
    >>> clock_of_minute(22 * 60 + 5)
    '22:05'
    """
    return f"{minute // 60:02d}:{minute % 60:02d}"


def sent(*, trigger: str, cause: str | None, channel: str, moment: str) -> str:
    """Why something is sent, what it is about, where and when."""
    about = f" It is about this: {cause}" if cause else ""
    return f"{trigger}{about} Sent by {channel}. {moment}"
