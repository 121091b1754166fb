"""Conflicts between rows of the requirements, each settled in a shipped policy and shown where the readings differ.

Those about figures are not a policy's to settle: stages of the latency budget (4), which alert error is held (8) and planted effects (9)
belong to benchmarks and to training.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from features.core.condition import Condition
from tests.scenario.situations import gone_quiet, in_trouble_signing_in, uses_the_app

MINUTE = timedelta(minutes=1)


@pytest.fixture
def calm(world):
    """A world where the risk alone is no reason."""
    world.scorer.said_risk = 0.1
    return world


def triggers_on(policy, feature):
    """Trigger and conditions on the feature."""

    def bounds(trigger):
        mine = (c for c in trigger.conditions if isinstance(c, Condition) and c.feature == feature)
        return [(c.comparison.value, c.value) for c in mine]

    found = {trigger.name: bounds(trigger) for trigger in policy.triggers}
    return {name: conditions for name, conditions in found.items() if conditions}


def test_conflict_1_three_per_cent_is_twice_the_baseline_so_both_readings_must_hold(shipped_policy):
    assert triggers_on(shipped_policy, "ratio_login_failed_to_attempt_7d") == {"login_failure_rate": [(">", 0.03), (">=", 0.045)]}


@pytest.mark.parametrize(
    ("feature", "bounds"),
    [
        ("last_session_seconds_use_7d", {"shallow_session": [("<=", 90.0)], "idle_in_session": [("<", 30.0)]}),
        ("seconds_waiting_login_to_key_action_1d", {"first_result_delayed": [(">", 60.0)]}),
    ],
)
def test_conflict_2_minutes_of_the_rows_are_seconds_of_the_features(shipped_policy, feature, bounds):
    """1.5 held against seconds would never alert on depth, and always on the first action."""
    assert triggers_on(shipped_policy, feature) == bounds


def test_conflict_2_a_kind_whose_value_has_a_unit_takes_no_event_without_one(onboarding):
    units = {kind.name: kind.value_unit for kind in onboarding.catalogue.kinds if kind.value_unit}
    assert {name: units[name] for name in ("key_action", "session_ended", "hover", "scroll", "cursor_frozen")} == {
        "key_action": "ms",
        "session_ended": "ms",
        "hover": "ms",
        "scroll": "percent",
        "cursor_frozen": "ms",
    }


def test_conflict_3_a_count_in_a_window_a_streak_and_a_rate_are_three_rules(calm):
    in_trouble_signing_in(calm)
    assert calm.decide()["trigger"] == "repeated_login_failures"  # three in two minutes
    calm.person("bob")
    calm.happens("bob", "form_failed", times=2, subject="kyc", value=1)
    assert calm.decide("bob")["trigger"] == "repeated_form_failures"  # two in a row
    calm.person("cyd")
    for hours in (1, 2, 3):
        calm.happens("cyd", "login_failed", ago=timedelta(hours=hours))
    calm.happens("cyd", "login", ago=MINUTE)
    calm.happens("cyd", "key_action", value=100)
    assert calm.decide("cyd")["trigger"] == "login_failure_rate"  # three of four tries, hours apart


def test_conflict_5_one_silence_is_a_day_for_regulars_and_another_three_days_for_first_visits(shipped_policy):
    """The cart's three windows, and the week, are in tests/scenario/test_shop_policy.py."""
    on_silence = triggers_on(shipped_policy, "seconds_since_last_use")
    assert on_silence["regular_away_for_a_day"] == [(">=", 86_400.0), ("<=", 172_800.0)]
    assert len({tuple(bounds) for bounds in on_silence.values()}) > 3


def test_conflict_6_of_all_caps_the_strictest_wins(world):
    """An e-mail a day, a push a day, two pushes a week and four messages a day all hold at once."""
    user_id = uses_the_app(world)
    sent = []
    for _ in range(7 * 4):
        output = world.decide(user_id)
        sent += [] if output["message"] is None else [(output["moment"]["send_at"][:10], output["message"]["channel"])]
        world.later(hours=3)
        world.scorer.said_contributions = {("silence", "login_friction", "skipped_setup", "slow_start")[len(sent) % 4]: 1.0}
    assert len(sent) == len(set(sent))  # one a channel a day
    assert sum(channel == "push" for _, channel in sent) <= 2
    assert sum(channel == "email" for _, channel in sent) >= 3


def test_conflict_6_help_is_not_used_up_by_outreach_nor_outreach_by_help(world):
    user_id = gone_quiet(world)
    assert world.decide(user_id)["message"]["class"] == "outreach"
    for _ in range(3):
        world.later(hours=1, minutes=1)
        world.happens(user_id, "login_failed", times=3)
        assert world.decide(user_id)["message"]["class"] == "assist"
    world.later(hours=1, minutes=1)
    world.happens(user_id, "login_failed", times=3)
    assert world.decide(user_id)["action"] in ("none", "defer")


def test_conflict_7_help_acts_on_the_first_visit_and_outreach_waits_for_several(world, shipped_policy):
    assert world.decide(in_trouble_signing_in(world))["message"]["class"] == "assist"
    (guardrail,) = (g for g in shipped_policy.guardrails if g.name == "first_visit_only")
    assert [message_class.value for message_class in guardrail.classes] == ["outreach"]
