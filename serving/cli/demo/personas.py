"""The live users of the demo: who they are, what happens to them, and when, in seconds before now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

MINUTE, DAY = 60, 86_400

_STAND_INS = 4
"""So many at most: that chance decides about all of them happens in one demo of a hundred thousand."""

Moment = tuple[float, str, str | None, int | None]
"""Seconds before now, kind, subject, value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """One user of the demo."""

    user_id: str
    headline: str  # what happened, for people
    traits: dict[str, Any]
    moments: tuple[Moment, ...]

    def items(self, now: datetime) -> Iterator[dict[str, Any]]:
        """Make what the product's backend would have sent to ``POST /v1/events``."""
        ages = [age for age, *_ in self.moments]
        joined = now - timedelta(seconds=max(ages, default=0) + 1)
        yield {"type": "identify", "user_id": self.user_id, "occurred_at": joined.isoformat(), "traits": self.traits}
        for number, (age, kind, subject, value) in enumerate(self.moments):
            item = {"event_id": f"{self.user_id}-{number}", "user_id": self.user_id, "kind": kind}
            item["occurred_at"] = (now - timedelta(seconds=age)).isoformat()
            optional = {"subject": subject, "value": value}
            yield item | {name: given for name, given in optional.items() if given is not None}


def personas() -> tuple[Persona, ...]:
    """Five users with five different troubles; one has none. All have been there for as long as the users that the model learned from."""
    return (_locked_out("lena", consent=True), _stuck_in_a_form(), _gone_quiet(), _doing_well(), _locked_out("nora", consent=False))


def stand_ins(persona: Persona) -> Iterator[Persona]:
    """Others to whom the same happens, for when chance decides about the first."""
    for number in range(2, _STAND_INS + 2):
        user_id = f"{persona.user_id}-{number}"
        yield replace(persona, user_id=user_id, headline=f"The same as to {persona.user_id}, about whom chance decided. {persona.headline}")


def fails_again(persona: Persona, now: datetime) -> dict[str, Any]:
    """Make one more failed sign-in, a moment after help was offered."""
    occurred_at = now.isoformat()
    return {"event_id": f"{persona.user_id}-again", "user_id": persona.user_id, "kind": "login_failed", "occurred_at": occurred_at}


def _traits(**changed: Any) -> dict[str, Any]:
    agreed = {"consent": True, "in_app_opt_in": True, "email_opt_in": True}
    return {"plan": "team", "device": "web", "timezone": "UTC", **agreed, **changed}


def _visit(age: float, *, pages: int = 3, key_action: bool = True) -> tuple[Moment, ...]:
    """One good visit, starting ``age`` seconds ago."""
    views = [(age - 20 - 15 * page, "page_view", name, None) for page, name in enumerate(("home", "data", "reports", "team")[:pages])]
    clicks = [(age - 25 - 10 * number, "click", None, None) for number in range(2 * pages)]
    uses = [(age - 90, "feature_used", "report", None), (age - 110, "feature_used", "import", None)]
    results = [(age - 120, "key_action", None, 45_000)] if key_action else []
    return ((age, "login", None, None), *views, *clicks, *uses, *results, (age - 300, "session_ended", None, 300_000))


def _locked_out(user_id: str, *, consent: bool) -> Persona:
    return Persona(
        user_id=user_id,
        headline="A regular of four days; just now three sign-ins failed within 90 seconds."
        if consent
        else "As lena, but without consent.",
        traits=_traits(first_name=user_id.capitalize(), consent=consent, timezone="Europe/Berlin"),
        moments=(
            (4 * DAY, "signup", None, None),
            *_visit(4 * DAY - 60),
            *_visit(3 * DAY),
            *_visit(1 * DAY),
            *((age, "login_failed", None, None) for age in (90, 50, 10)),
        ),
    )


def _stuck_in_a_form() -> Persona:
    return Persona(
        user_id="omar",
        headline="Signed up yesterday and looked around; back today, a form was refused three times in seven minutes.",
        traits=_traits(first_name="Omar", plan="free", device="ios", timezone="Africa/Cairo"),
        moments=(
            (1.1 * DAY, "signup", None, None),
            *_visit(1.1 * DAY - 60),
            (12 * MINUTE, "login", None, None),
            (11 * MINUTE, "page_view", "home", None),
            (10 * MINUTE, "click", None, None),
            (9 * MINUTE, "page_view", "verification", None),
            *((age, "hover", None, 1_800) for age in (430, 250, 70)),
            *((age, "form_failed", "photo ID", missing) for age, missing in ((420, 3), (240, 2), (60, 2))),
        ),
    )


def _gone_quiet() -> Persona:
    return Persona(
        user_id="yuki",
        headline="An enterprise account; one short first visit, then six days of silence.",
        traits=_traits(first_name="Yuki", plan="enterprise", timezone="Asia/Tokyo"),
        moments=(
            (6.2 * DAY, "signup", None, None),
            (6.2 * DAY - 20, "login", None, None),
            (6.2 * DAY - 40, "page_view", "home", None),
            *(
                (6.2 * DAY - 50 - 5 * number, "step_skipped", step, None)
                for number, step in enumerate(("connect data", "invite team", "template"))
            ),
            (6.2 * DAY - 70, "feature_skipped", "report", None),
            (6.2 * DAY - 80, "feature_skipped", "import", None),
            *((6.2 * DAY - 90 - 5 * number, "click", None, None) for number in range(3)),
            (6.2 * DAY - 120, "session_ended", None, 100_000),
        ),
    )


def _doing_well() -> Persona:
    visits = tuple(moment for day in (9, 8, 7, 5, 4, 3, 2, 1) for moment in _visit(day * DAY, pages=4))
    steps = tuple(
        (9 * DAY - 400 - 60 * number, "step_completed", step, None) for number, step in enumerate(("connect data", "invite team"))
    )
    return Persona(
        user_id="tom",
        headline="Nine days in, uses the product nearly every day; was there a minute ago.",
        traits=_traits(first_name="Tom", timezone="America/New_York"),
        moments=((9 * DAY + 60, "signup", None, None), *visits, *steps, *_visit(6 * MINUTE, pages=4)),
    )
