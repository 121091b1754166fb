"""policy.yaml as text: the least that is safe to start with."""

from __future__ import annotations

_LEAST, _MOST = 0.5, 0.95


def policy_yaml(name: str, *, base_rate: float | None, timezone: str) -> str:
    """The text of policy.yaml: one channel, one trigger, two messages, a cap and quiet hours.

    Parameters
    ----------
    base_rate
        Share of users that drop out; only clearly riskier ones are written to.
    """
    threshold = min(_MOST, max(_LEAST, round((1 + (base_rate or 0.0)) / 2, 2)))
    return f"""\
# Drafted by `stillhere init`: safe to start with, and nothing is sent to anybody who has not consented. Every key is explained in
# docs/policy-file.md.
version: 1
name: {name}

consent_attribute: consent
timezone_attribute: timezone
default_timezone: {timezone} # where the profile does not say

min_events: 2
risk_threshold: {threshold:.2f} # half way between the base rate and certainty; look at the model card of the first training
min_contribution: 0.05

channels:
  email: {{message_class: outreach, opt_in: email_opt_in}}

triggers:
  high_risk:
    message_class: outreach
    severity: high
    risk_above_threshold: true
    sentence: The risk of not coming back is at or above the threshold.

messages:
  come_back:
    message_class: outreach
    channel: email
    causes: [silence]
    cooldown: 14d
    title: Still there?
    body: Everything is where you left it. Is there anything that we can make easier?
  checking_in: # the fallback of its channel: for every other cause
    message_class: outreach
    channel: email
    cooldown: 14d
    title: How is it going?
    body: If something is in your way, reply to this mail. Somebody reads every answer.

caps:
  email_per_day: {{channel: email, limit: 1}}
  all_per_day: {{limit: 1}}

quiet_hours:
  - {{start: "20:00", end: "09:00", classes: [outreach]}}
"""
