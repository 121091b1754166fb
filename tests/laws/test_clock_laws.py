"""R11: no cap is exceeded on any day or in any interval, though clocks change, users travel and the clock of the machine is set back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.core.event import to_us
from serving.adapters.memory_ledger import MemoryLedger
from serving.adapters.redis_ledger import RedisLedger, connect
from serving.decision.caps import cap_windows, permits
from serving.decision.decide import decide
from serving.decision.policy import Cap, MessageClass
from serving.decision.record import inputs_to_json
from serving.decision.values import Action
from serving.ports import Commit
from tests.laws.contact_model import ContactModel, exceeded, zone_of
from tests.serving_world import contact, golden_inputs, golden_policy

POLICY = golden_policy()
MINUTE_US = 60_000_000
FEATURES = {"count_login_failed_2m": 3.0, "seconds_since_last_use": 700_000.0}
BASE = golden_inputs(features=FEATURES, contributions={}, risk=0.9, n_events=12)
EVES = {  # of a change of the clocks: an hour gone, an hour twice, half an hour, and midnight itself
    "Europe/Berlin": [(2026, 3, 28), (2026, 10, 24)],
    "America/New_York": [(2026, 3, 7), (2026, 10, 31)],
    "Australia/Lord_Howe": [(2026, 4, 4), (2026, 10, 3)],
    "Africa/Cairo": [(2026, 4, 23), (2026, 10, 29)],
    "Pacific/Apia": [(2026, 1, 1)],
    "UTC": [(2026, 3, 28)],
}
ZONES = tuple(EVES)

caps = st.lists(
    st.builds(
        Cap,
        name=st.just("cap"),
        limit=st.integers(1, 3),
        channel=st.sampled_from([None, "email", "in_app"]),
        message_class=st.sampled_from([None, None, *MessageClass]),
        window=st.sampled_from([None, None, timedelta(hours=2), timedelta(hours=24), timedelta(days=3)]),
    ),
    min_size=1,
    max_size=3,
).map(lambda made: tuple(replace(cap, name=f"cap_{place}") for place, cap in enumerate(made)))
policies = st.builds(
    lambda caps, rest, quiet: replace(
        POLICY, caps=caps, quiet_hours=quiet, messages=tuple(replace(m, cooldown=rest) for m in POLICY.messages)
    ),
    caps,
    st.sampled_from([timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)]),
    st.sampled_from([(), POLICY.quiet_hours]),
)
starts = st.sampled_from([(zone, eve) for zone, eves in EVES.items() for eve in eves])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask after"), st.sampled_from([0, 1, 20, 59, 61, 200, 600, 1_441])),  # minutes
        st.tuples(st.just("clock back"), st.integers(1, 5)),
        st.tuples(st.just("travel"), st.sampled_from(ZONES)),
    ),
    max_size=30,
)


def play(ledger, product, policy, start, steps):
    """Ask at every chance; the model recounts at each grant. The user's zones, and all that was reserved."""
    zone, (year, month, day) = start
    at_us, model, zones = to_us(datetime(year, month, day, 6, tzinfo=UTC)), ContactModel(), {zone}
    for number, (what, amount) in enumerate(steps):
        if what == "travel":
            zone = amount
            zones.add(zone)
            continue
        at_us += amount * MINUTE_US if what == "ask after" else -amount * MINUTE_US
        inputs = replace(
            BASE,
            decision_id=f"d{number}",
            as_of_us=at_us,
            profile={**BASE.profile, "timezone": zone},
            contacts=ledger.contacts(product, "ada", since_us=at_us - policy.lookback_us),
        )
        ask(ledger, product, model, inputs, policy)
    return zones, model.of("ada")


def ask(ledger, product, model, inputs, policy):
    """Decide, commit, and have the model recount what was granted."""
    decision = decide(inputs, policy)
    if decision.action is not Action.SEND:
        return
    reserved = contact(decision.channel, decision.message_id, at_us=decision.send_at_us, decision_id=inputs.decision_id)
    commit = Commit(
        decision_id=inputs.decision_id,
        user_id="ada",
        receipt=b"{}",
        timeline_hash="",
        timeline=b"",
        contact=reserved,
        caps=cap_windows(decision, inputs, policy),
        as_of_us=inputs.as_of_us,
        permits=permits(decision, policy),
    )
    assert ledger.commit(product, commit).committed  # alone, nothing is refused that the decision found room for
    model.grant("ada", reserved, {"inputs": inputs_to_json(inputs)}, policy)


def check_all(policy, zones, reserved):
    """Once more over all that was reserved: every interval, and every day of whoever stayed where they were."""
    for one in reserved:
        for zone in zones:
            over = list(exceeded(reserved, one, policy, zone_of(zone, policy)))
            if len(zones) > 1:  # on the road two days overlap; an interval is an interval
                rolling = {cap.name for cap in policy.caps if cap.window is not None}
                over = [text for text in over if text.partition(":")[0] in rolling]
            assert over == []


@settings(max_examples=150)
@given(policy=policies, start=starts, steps=steps)
def test_r11_no_cap_is_exceeded_whatever_the_clocks_do(policy, start, steps):
    check_all(policy, *play(MemoryLedger(), "p", policy, start, steps))


@pytest.mark.faults
@settings(max_examples=3_000)
@given(policy=policies, start=starts, steps=steps)
def test_r11_no_cap_is_exceeded_whatever_the_clocks_do_for_longer(policy, start, steps):
    check_all(policy, *play(MemoryLedger(), "p", policy, start, steps))


@pytest.mark.faults
@settings(max_examples=500)
@given(policy=policies, start=starts, steps=steps)
def test_r11_nor_over_redis(redis_server, policy, start, steps):
    with connect(redis_server.url, timeout_ms=5_000) as client:
        client.flushdb()
        check_all(policy, *play(RedisLedger(client=client), "p", policy, start, steps))
