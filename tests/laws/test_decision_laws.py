"""What holds for every decision, whatever the inputs and the policy."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from features.core.event import from_us
from serving.adapters.memory_ledger import MemoryLedger
from serving.decision.caps import cap_windows, counted, first_refusal
from serving.decision.chance import draw
from serving.decision.decide import decide, judged, needs_explanation
from serving.decision.eligibility import known_risk
from serving.decision.local_time import day_window_us, local, quiet_range_at, zone_of
from serving.decision.output import output_json
from serving.decision.policy import (
    Cap,
    Channel,
    Degraded,
    Guardrail,
    Holdout,
    MessageClass,
    Mode,
    SwitchedOff,
)
from serving.decision.record import inputs_from_json, inputs_to_json
from serving.decision.timing import NOT_ENOUGH_DATA, NOTHING_ALLOWED
from serving.decision.values import Action, Degradation
from serving.ports import Commit
from tests.laws.decision_cases import (
    ALWAYS,
    BASE,
    CAUSES,
    NOT_PREFERRED,
    POLICY,
    contacts,
    inputs_of_all_kinds,
    open_arms,
    policies,
)
from tests.serving_world import DAY_US, HOUR_US, contact

NO_TIMING = {"timing": (), "timing_shown": False, "timing_of": None}
laws = settings(max_examples=200, deadline=None)


def names(cap, one):
    """Whether the cap is about the contact."""
    pairs = ((cap.channel, one.channel), (cap.message_class, one.message_class), (cap.message_id, one.message_id))
    return all(named in (None, its) for named, its in pairs)


def names_channel(cap, arm):
    message_class, _, channel = arm.partition("/")
    return cap.message_id is None and cap.channel in (None, channel) and cap.message_class in (None, message_class)


def most_at_once(contacts, cap, zone, *, holding):
    """A slow recount: contacts of the cap on the local day of one of them, or most in any interval of its length that holds that one."""
    mine = [one.at_us for one in contacts if names(cap, one)]
    if cap.window is None:
        day = local(holding.at_us, zone).date()
        return sum(local(at_us, zone).date() == day for at_us in mine)
    span_us = cap.window // timedelta(microseconds=1)
    ends = [at_us for at_us in mine if holding.at_us <= at_us < holding.at_us + span_us]
    return max(sum(end - span_us < at_us <= end for at_us in mine) for end in ends)


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_an_explanation_that_comes_later_changes_nothing_but_what_it_would_have_changed(inputs, policy):
    before = replace(inputs, contributions=None, min_cause_lead=0.0, **NO_TIMING)
    assert judged(before, policy).explained(inputs).decision() == decide(inputs, policy)


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_a_curve_moves_what_is_sent_and_changes_nothing_else(inputs, policy):
    """Nor does it tell an effect of another message than the one that it was asked for. Chance draws among the same delays."""
    decision, without = decide(inputs, policy), decide(replace(inputs, **NO_TIMING), policy)
    ours = ("send_at_us", "moment_sentence", "sentence", "expires_at_us", "curve", "advice", "delays")
    assert (decision.delays is None) is (without.delays is None)
    if decision.delays is not None and without.delays is not None:
        assert (decision.delays.is_drawn, decision.delays.chance_of_each) == (without.delays.is_drawn, without.delays.chance_of_each)
    assert decision._replace(verdicts=(), **dict.fromkeys(ours)) == without._replace(verdicts=(), **dict.fromkeys(ours))
    assert [verdict.passed for verdict in decision.verdicts] == [verdict.passed for verdict in without.verdicts]
    if inputs.timing_of not in (None, decision.message_id):
        assert decision.send_at_us == without.send_at_us
        assert all(word.slot.expected is None and word.slot.gain is None for word in decision.curve)
        assert decision.advice in (None, NOT_ENOUGH_DATA, NOTHING_ALLOWED)


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_the_message_that_a_curve_is_asked_for_is_the_one_sent_or_that_chance_kept_back(inputs, policy):
    choice, decision = judged(replace(inputs, **NO_TIMING), policy).outreach(), decide(inputs, policy)
    if decision.message_id is None:
        assert (choice is not None) <= (decision.code == "explored_none")
        assert (decision.delays is not None) <= (choice is not None)
    else:
        assert (choice is None) is (decision.message_class is not MessageClass.OUTREACH)
        assert choice is None or choice.message.id == decision.message_id


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_what_was_prepared_for_one_policy_serves_another_of_the_same_content(inputs, policy):
    messages = tuple(replace(message) for message in policy.messages)
    assert decide(inputs, replace(policy, messages=messages)) == decide(inputs, policy)


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_exactly_one_arm_is_chosen_and_it_is_open(inputs, policy):
    decision = decide(inputs, policy)
    done = f"{decision.message_class.value}/{decision.channel}" if decision.message_class else "none"
    chosen = next(arm for arm in decision.arms if arm.name == done)
    assert abs(sum(arm.propensity for arm in decision.arms) - 1.0) < 1e-12
    assert chosen.open
    assert chosen.propensity > 0.0
    assert policy.exploration.arm_share > 0.0 or chosen.propensity == 1.0
    assert all(arm.open or arm.propensity == 0.0 for arm in decision.arms)
    assert (done == "none") is (decision.action in (Action.NONE, Action.DEFER))
    assert (policy.mode is Mode.STAGING) is (decision.action is Action.STAGE) or done == "none"
    assert decision.action is not Action.DEFER or decision.ask_again_at_us is not None
    assert [arm.name for arm in decision.arms if arm.blocked_by is None] == list(dict.fromkeys([done, "none"]))


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_whatever_is_sent_is_agreed_to_wanted_by_a_rule_and_within_every_limit(inputs, policy):
    decision = decide(inputs, policy)
    if decision.action is not Action.SEND:
        return
    zone, send_at_us = zone_of(inputs.profile, policy), decision.send_at_us
    assert inputs.profile["consent"] is True
    assert decision.channel != "email" or (
        inputs.profile["email_opt_in"] and inputs.n_events >= policy.min_events and not math.isnan(inputs.risk)
    )
    assert inputs.contacts is not None
    assert inputs.features
    is_help, allowed = decision.message_class is MessageClass.ASSIST, policy.degraded
    assert Degradation.FEATURES_STALE not in inputs.degraded or (is_help and allowed.assist_on_stale_features)
    assert known_risk(inputs) is not None or (is_help and allowed.assist_without_model)
    assert send_at_us >= inputs.as_of_us
    ranges = [q for q in policy.quiet_hours if decision.message_class in q.classes]
    assert quiet_range_at(send_at_us, ranges, zone) is None
    assert first_refusal(inputs.contacts, cap_windows(decision, inputs, policy)) is None
    sent = contact(decision.channel, decision.message_id, at_us=send_at_us)
    for cap in policy.caps:
        if names(cap, sent):
            assert most_at_once([*inputs.contacts, sent], cap, zone, holding=sent) <= cap.limit


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_every_arm_is_judged_by_every_rule_and_its_first_refusal_is_its_reason(inputs, policy):
    decision = decide(inputs, policy)
    for arm in decision.arms[:-1]:
        rules = [v for v in decision.verdicts if v.arm in ("*", arm.name)]
        named = [v.rule for v in rules if v.rule in ALWAYS]
        of_model = ["model"] if policy.degraded.assist_without_model is False else []
        own = (
            ["opt_in", *of_model, "trigger", "quiet_hours"]
            if arm.name.startswith("assist")
            else ["opt_in", "model", "evidence", "trigger", "quiet_hours"]
        )
        assert named == ["ledger", "features", "consent", *own, "message", "cooldown"]
        assert len(rules) - len(named) >= sum(names_channel(cap, arm.name) for cap in policy.caps)
        refusal = next((v.code for v in rules if not v.passed), None)
        assert arm.open is (refusal is None)
        assert arm.blocked_by == refusal or (arm.open and arm.blocked_by in (None, *NOT_PREFERRED))
        assert all((v.code == "ok") is v.passed and v.sentence for v in rules)


@laws
@given(inputs=inputs_of_all_kinds, policy=policies, more=contacts)
def test_one_more_contact_never_opens_an_arm(inputs, policy, more):
    before = replace(inputs, contacts=inputs.contacts or ())
    after = replace(inputs, contacts=(*before.contacts, *more))
    assert open_arms(decide(after, policy)) <= open_arms(decide(before, policy))


@laws
@given(inputs=inputs_of_all_kinds, policy=policies, cap=st.builds(Cap, name=st.just("another"), limit=st.integers(0, 2)))
def test_one_more_cap_never_opens_an_arm(inputs, policy, cap):
    stricter = replace(policy, caps=(*policy.caps, cap))
    assert open_arms(decide(inputs, stricter)) <= open_arms(decide(inputs, policy))


always = Guardrail(name="g", conditions=(), sentence="Always.", classes=tuple(MessageClass))
stricter_in_one_way = st.sampled_from(
    [
        {"guardrails": (always,)},
        {"guardrails": (replace(always, classes=(MessageClass.OUTREACH,)),)},
        {"switched_off": SwitchedOff(everything=True)},
        {"degraded": Degraded(assist_without_model=False, assist_on_stale_features=False)},
        {"switched_off": SwitchedOff(channels=("email",))},
        {"switched_off": SwitchedOff(triggers=(POLICY.triggers[0].name,))},
        {"suppression_attribute": "consent"},
        {"holdout": Holdout(share=0.999, salt="stricter")},
    ]
)


@laws
@given(inputs=inputs_of_all_kinds, policy=policies, change=stricter_in_one_way)
def test_one_more_guardrail_never_opens_an_arm(inputs, policy, change):
    if change.keys() == {"holdout"} and policy.holdout is not None:
        return
    assert open_arms(decide(inputs, replace(policy, **change))) <= open_arms(decide(inputs, policy))


switches = st.builds(
    SwitchedOff,
    triggers=st.lists(st.sampled_from([trigger.name for trigger in POLICY.triggers]), unique=True).map(tuple),
    messages=st.lists(st.sampled_from([message.id for message in POLICY.messages]), unique=True).map(tuple),
)


@laws
@given(inputs=inputs_of_all_kinds, policy=policies, off=switches)
def test_what_a_switch_alone_keeps_back_says_so_and_nothing_else_does(inputs, policy, off):
    stopped, whole = decide(inputs, replace(policy, switched_off=off)), decide(inputs, policy)
    would_pass = {(verdict.arm, verdict.rule): verdict.passed for verdict in whole.verdicts}
    for verdict in stopped.verdicts:
        if verdict.rule in ("trigger", "message"):
            is_kept_back = not verdict.passed and would_pass[verdict.arm, verdict.rule]
            assert (verdict.code == "switched_off") is is_kept_back
            assert not is_kept_back or verdict.sentence.split()[2] in (*off.triggers, *off.messages)


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_the_holdout_is_never_contacted_and_is_the_share_it_says(inputs, policy):
    held_out = replace(policy, holdout=Holdout(share=0.2, salt="everyone"))
    for number in range(20):
        decision = decide(replace(inputs, user_id=f"user-{number}"), held_out)
        assert decision.assignments["holdout"] == ("held_out" if draw("holdout:everyone", f"user-{number}") < 0.2 else "treated")
        assert decision.assignments["holdout"] == "treated" or open_arms(decision) == {"none"}


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_one_more_required_opt_in_never_opens_an_arm(inputs, policy):
    channels = tuple(Channel(name=c.name, message_class=c.message_class, opt_in="never_given") for c in policy.channels)
    assert open_arms(decide(inputs, replace(policy, channels=channels))) == {"none"}


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_an_explanation_is_asked_for_whenever_it_could_matter(inputs, policy):
    """Where none is needed, no attribution at all would open an arm."""
    if not needs_explanation(inputs, policy):
        for cause in CAUSES:
            assert decide(replace(inputs, contributions={cause: 5.0}), policy).action is not Action.SEND


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_a_recorded_decision_comes_out_the_same_to_the_byte(inputs, policy):
    versions = {"model": "m/1", "policy": policy.hash, "features": "f"}
    first = output_json(decide(inputs, policy), versions)
    assert output_json(decide(inputs_from_json(inputs_to_json(inputs)), policy), versions) == first


@settings(max_examples=60, deadline=None)
@given(policy=policies, hours=st.lists(st.integers(0, 30), max_size=15), zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]))
def test_caps_are_never_exceeded_on_any_local_day(policy, hours, zone):
    """Decide and commit again and again over two days around a change of the clocks, helped and written to at every chance."""
    ledger, profile = MemoryLedger(), {"consent": True, "email_opt_in": True, "timezone": zone}
    start_us = 1_774_652_400_000_000 if zone != "America/New_York" else 1_772_924_400_000_000  # the eves of summer time 2026
    features = {"count_login_failed_2m": 3.0, "seconds_since_last_use": 700000.0}
    at_us = start_us
    for number, step in enumerate(hours):
        at_us += step * HOUR_US // 4
        made = ledger.contacts("p", "ada", since_us=0)
        inputs = replace(
            BASE, decision_id=f"d{number}", as_of_us=at_us, features=features, profile=profile, contacts=made, contributions={}
        )
        decision = decide(inputs, policy)
        windows = cap_windows(decision, inputs, policy)
        if decision.action is Action.SEND:
            reserve = contact(decision.channel, decision.message_id, at_us=decision.send_at_us, decision_id=f"d{number}")
            commit = Commit(
                decision_id=f"d{number}", user_id="ada", receipt=b"{}", timeline_hash="", timeline=b"", contact=reserve, caps=windows
            )
            assert ledger.commit("p", commit).committed
    made = ledger.contacts("p", "ada", since_us=0)
    user_zone = zone_of(profile, policy)
    for cap in policy.caps:
        assert all(most_at_once(made, cap, user_zone, holding=one) <= cap.limit for one in made if names(cap, one))
    for message in policy.messages:
        times = [from_us(c.at_us) for c in made if c.message_id == message.id]
        assert all(later - earlier >= message.cooldown for earlier, later in pairwise(times))


@given(
    at_us=st.integers(BASE.as_of_us, BASE.as_of_us + 400 * DAY_US), zone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
)
def test_a_window_holds_the_contact_it_was_made_for(at_us, zone):
    inputs = replace(BASE, as_of_us=at_us, profile={**BASE.profile, "timezone": zone})
    decision = decide(inputs, POLICY)
    for window in cap_windows(decision, inputs, POLICY):
        assert counted([contact(decision.channel, decision.message_id, at_us=decision.send_at_us)], window) == 1
    assert cap_windows(decide(replace(inputs, contacts=None), POLICY), inputs, POLICY) == ()
    user_zone = zone_of(inputs.profile, POLICY)
    since_us, until_us = day_window_us(local(at_us, user_zone).date(), user_zone)
    assert timedelta(hours=23) <= timedelta(microseconds=until_us - since_us) <= timedelta(hours=25)
