"""Inputs and policies of all kinds, for laws of decisions; and the arms that a decision leaves open."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from serving.decision.policy import (
    Cap,
    Degraded,
    Exploration,
    Holdout,
    MessageClass,
    Mode,
    QuietHours,
    TimingRule,
)
from serving.decision.values import Degradation, TimingSlot
from tests.serving_world import HOUR_US, contact, golden_inputs, golden_policy

BASE, POLICY = golden_inputs(), golden_policy()
NOT_PREFERRED = ("another_arm_first", "explored_another", "explored_none")
ALWAYS = {"ledger", "features", "consent", "opt_in", "model", "evidence", "trigger", "quiet_hours", "message", "cooldown"}
DELAYS = tuple(timedelta(hours=hours) for hours in (0, 1, 6, 15, 24))
CAUSES = ("login_friction", "skipped_setup", "silence", "tenure", "base")

contacts = st.lists(
    st.builds(
        lambda message, hours: contact(message[0], message[1], at_us=BASE.as_of_us + hours * HOUR_US, decision_id=f"d{hours}{message[1]}"),
        st.sampled_from([(m.channel, m.id) for m in POLICY.messages]),
        st.integers(-24 * 9, 30),
    ),
    max_size=6,
).map(lambda items: tuple(sorted(items, key=lambda c: c.at_us)))

odd_inputs = st.builds(
    lambda hours, **changes: replace(BASE, as_of_us=BASE.as_of_us + hours * HOUR_US // 4, **changes),
    hours=st.integers(0, 4 * 24 * 300),
    n_events=st.integers(0, 12),
    risk=st.one_of(st.none(), st.just(math.nan), st.floats(0.3, 1.0)),
    contributions=st.one_of(st.none(), st.dictionaries(st.sampled_from(CAUSES), st.floats(-2, 2))),
    features=st.one_of(
        st.just({}),
        st.fixed_dictionaries(
            {
                "count_login_failed_2m": st.sampled_from([0.0, 2.0, 3.0]),
                "seconds_since_first_use": st.sampled_from([math.nan, 60.0, 864000.0]),
                "seconds_since_last_use": st.sampled_from([math.nan, 30.0, 900.0, 700000.0]),
                "count_key_action_30d": st.sampled_from([0.0, 2.0]),
            }
        ),
    ),
    profile=st.fixed_dictionaries(
        {
            "consent": st.sampled_from([True, True, True, False, None]),
            "email_opt_in": st.sampled_from([True, True, False]),
            "timezone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York", "nowhere"]),
        }
    ),
    segment=st.sampled_from([None, "enterprise", "unheard_of"]),
    contacts=st.one_of(st.none(), contacts, contacts, contacts),
    degraded=st.sampled_from(
        [(), (), (), (Degradation.FEATURES_UNAVAILABLE,), (Degradation.PROFILE_UNAVAILABLE,), (Degradation.FEATURES_STALE,)]
    ),
    refused_by=st.sampled_from([None, None, None, "cap:email_per_day"]),
    timing=st.one_of(
        st.just(()),
        st.lists(st.tuples(st.integers(0, 48), st.floats(-0.2, 0.2)), min_size=2, max_size=5, unique_by=lambda slot: slot[0]).map(
            lambda slots: tuple(
                TimingSlot(delay_us=hours * HOUR_US, still_away=0.5, receptive=1.0, expected=gain, gain=gain, gain_se=0.05)
                for hours, gain in sorted(slots)
            )
        ),
    ),
    timing_shown=st.booleans(),
    timing_of=st.sampled_from([None, *(message.id for message in POLICY.messages)]),
)
likely_inputs = odd_inputs.map(
    lambda odd: replace(
        odd,
        n_events=max(odd.n_events, 5),
        risk=0.9,
        profile={**odd.profile, "consent": True, "email_opt_in": True},
        features=odd.features or {"count_login_failed_2m": 3.0, "seconds_since_last_use": 900.0},
        contacts=odd.contacts or (),
        degraded=(),
        refused_by=None,
    )
)
inputs_of_all_kinds = st.one_of(odd_inputs, likely_inputs)
quiet = st.builds(
    lambda start, length, classes: QuietHours(start_minute=start, end_minute=(start + length) % 1440, classes=tuple(classes)),
    st.integers(0, 1439),
    st.integers(1, 660),
    st.sampled_from([[MessageClass.OUTREACH], [MessageClass.ASSIST], list(MessageClass)]),
)
policies = st.builds(
    lambda **changes: replace(POLICY, **changes),
    quiet_hours=st.lists(quiet, max_size=2).map(tuple),
    caps=st.lists(
        st.builds(
            Cap,
            name=st.just("cap"),
            limit=st.integers(0, 3),
            channel=st.sampled_from([None, None, "email", "in_app"]),
            message_class=st.sampled_from([None, None, *MessageClass]),
            message_id=st.sampled_from([None, None, None, *(m.id for m in POLICY.messages)]),
            window=st.sampled_from([None, None, timedelta(hours=3), timedelta(days=7)]),
        ),
        max_size=3,
    ).map(lambda caps: tuple(replace(cap, name=f"cap_{i}") for i, cap in enumerate(caps))),
    min_events=st.integers(0, 8),
    min_contribution=st.floats(0, 1),
    mode=st.sampled_from([Mode.LIVE, Mode.LIVE, Mode.STAGING]),
    exploration=st.builds(
        Exploration,
        arm_share=st.sampled_from([0.0, 0.0, 0.5, 1.0]),
        message_share=st.sampled_from([0.0, 0.0, 0.5, 1.0]),
        delay_share=st.sampled_from([0.0, 0.0, 0.5, 1.0]),
        delays=st.just(DELAYS),
    ),
    messages=st.sampled_from([POLICY.messages, tuple(replace(m, suppresses=timedelta(days=3)) for m in POLICY.messages)]),
    timing=st.sampled_from([None, TimingRule(delays=(timedelta(0), timedelta(hours=1)), clear=0.5)]),
    degraded=st.sampled_from([Degraded(), Degraded(), Degraded(assist_without_model=False), Degraded(assist_on_stale_features=True)]),
    holdout=st.sampled_from([None, None, Holdout(share=0.2, salt="laws")]),
    channels=st.sampled_from([POLICY.channels, POLICY.channels, tuple(replace(one, slot_price=1.0) for one in POLICY.channels)]),
)


def open_arms(decision):
    return {arm.name for arm in decision.arms if arm.open}
