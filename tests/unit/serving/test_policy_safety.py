"""Faults of the sections that keep messages back: each is told with its place, what was found, what is expected and what to do."""

from __future__ import annotations

import pytest
import yaml

from features.declarations.product_file import load_product
from features.declarations.yaml_file import DeclarationError, Declared
from serving.decision.policy import Degraded
from serving.policy_file import load_policy, policy_document, policy_from_document, schema
from tests.serving_world import ROOT

PRODUCT = """\
name: small
description: As little as a policy needs.
kinds:
  login: {}
  hover: {value_unit: ms}
  scroll: {value_unit: percent}
features:
  - {aggregation: count, of: [login, hover, scroll], windows: 1d}
label: {activity: login, horizon: 7d}
profile:
  consent: {type: boolean, model: false}
  blocked: {type: boolean, model: false}
  timezone: {type: text}
  favourite: {type: text}
segments:
  all: {}
"""

POLICY = """\
name: small
consent_attribute: consent
suppression_attribute: blocked
preference_attribute: favourite
timezone_attribute: timezone
min_events: 1
risk_threshold: 0.5
static_elements: [price_list]
weak_signals: [hover, scroll]
channels:
  email: {message_class: outreach}
triggers:
  hesitating: {message_class: outreach, severity: low, conditions: ["count_hover_1d >= 2", "count_login_1d <= 1"], sentence: Hesitates.}
messages:
  hello: {message_class: outreach, channel: email, element: banner, title: Hello, body: Hello}
caps:
  email_per_day: {channel: email, limit: 1}
  all_per_day: {limit: 1}
guardrails:
  busy: {conditions: ["count_login_1d >= 1"], classes: [outreach], sentence: Is here.}
holdout: {share: 0.05, salt: "2026"}
exploration: {arm_share: 0.1, message_share: 0.1}
degraded: {assist_without_model: false, assist_on_stale_features: true}
switched_off: {everything: false, channels: [email], triggers: [hesitating], messages: [hello]}
"""


@pytest.fixture
def product(tmp_path):
    (tmp_path / "product.yaml").write_text(PRODUCT)
    return load_product(tmp_path)


@pytest.fixture
def load(tmp_path, product):
    def load(edit=lambda _: None):
        content = yaml.safe_load(POLICY)
        edit(content)
        file = tmp_path / "policy.yaml"
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        return load_policy(file, product)

    return load


def test_every_key_of_the_safe_sections_is_read_and_kept(load):
    policy = load()
    assert policy.suppression_attribute == "blocked"
    assert policy.preference_attribute == "favourite"
    assert policy.holdout.share == 0.05
    assert (policy.exploration.arm_share, policy.exploration.message_share) == (0.1, 0.1)
    assert policy.degraded == Degraded(assist_without_model=False, assist_on_stale_features=True)
    assert [guardrail.name for guardrail in policy.guardrails] == ["busy"]
    off = policy.switched_off
    assert (off.everything, off.channels, off.triggers, off.messages) == (False, ("email",), ("hesitating",), ("hello",))
    assert policy_from_document(policy_document(policy)) == policy


def test_without_them_nothing_is_off_nobody_is_held_out_and_chance_decides_nothing(load):
    def drop(policy):
        lists = ("guardrails", "static_elements", "weak_signals")
        for key in (*lists, "holdout", "exploration", "switched_off", "degraded", "suppression_attribute"):
            del policy[key]

    policy = load(drop)
    assert policy.holdout is None
    assert policy.exploration.arm_share == policy.exploration.message_share == 0.0
    assert policy.degraded == Degraded(assist_without_model=True, assist_on_stale_features=False)
    assert not policy.switched_off.everything
    assert not policy.guardrails
    assert policy.suppression_attribute is None


FAULTS = {
    "a word on degradation that is not there": (
        lambda p: p["degraded"].update(outreach_without_model=True),
        "degraded.outreach_without_model: found",
    ),
    "a channel switched off that is not there": (
        lambda p: p["switched_off"].update(channels=["fax"]),
        'switched_off.channels[0]: found "fax", expected one of email; declare it under channels or correct the name',
    ),
    "a trigger switched off that is not there": (
        lambda p: p["switched_off"].update(triggers=["hesitating", "hesitates"]),
        'switched_off.triggers[1]: found "hesitates", expected one of hesitating; declare it under triggers or correct the name',
    ),
    "a message switched off that is not there": (
        lambda p: p["switched_off"].update(messages=["bye"]),
        'switched_off.messages[0]: found "bye", expected one of hello; declare it under messages or correct the name',
    ),
    "a guardrail on an unknown feature": (
        lambda p: p["guardrails"]["busy"].update(conditions=["count_logins_1d >= 1"]),
        'guardrails.busy.conditions[0]: found "count_logins_1d", expected one of count_login_1d, count_hover_1d, count_scroll_1d; declare',
    ),
    "a guardrail on an unknown segmentation": (
        lambda p: p["guardrails"]["busy"].update(conditions=["segment.mood == low"]),
        'guardrails.busy.conditions[0]: found "mood", expected one of learned; declare it under segmentations of product.yaml',
    ),
    "a guardrail on an unknown segment": (
        lambda p: p["guardrails"]["busy"].update(conditions=["segment == vip"]),
        'guardrails.busy.conditions[0]: found "vip", expected one of all; declare it under that segmentation in product.yaml',
    ),
    "a guardrail on a learned segment by another name": (
        lambda p: p["guardrails"]["busy"].update(conditions=["segment.learned == regulars"]),
        'guardrails.busy.conditions[0]: found "regulars", expected the id of a learned segment such as s3; take it',
    ),
    "a guardrail without conditions": (lambda p: p["guardrails"]["busy"].update(conditions=[]), "guardrails.busy.conditions: found"),
    "a guardrail of no class": (lambda p: p["guardrails"]["busy"].update(classes=[]), "guardrails.busy.classes: found"),
    "a static element altered": (
        lambda p: p["messages"]["hello"].update(element="price_list"),
        'messages.hello.element: found "price_list", expected an element that is not static; take the element out of static_elements, or',
    ),
    "weak signals alone": (
        lambda p: p["triggers"]["hesitating"].update(conditions=["count_hover_1d >= 2", "count_scroll_1d >= 1"]),
        "triggers.hesitating.conditions: found conditions on hover, scroll alone, expected another signal beside weak_signals; add a",
    ),
    "one weak signal twice": (
        lambda p: p["triggers"]["hesitating"].update(conditions=["count_hover_1d >= 2", "count_hover_1d <= 9"]),
        "triggers.hesitating.conditions: found conditions on hover alone, expected another signal beside weak_signals; add a condition",
    ),
    "a weak signal beside a segment": (
        lambda p: p["triggers"]["hesitating"].update(conditions=["count_hover_1d >= 2", "segment == all"]),
        "triggers.hesitating.conditions: found conditions on hover alone",
    ),
    "a weak signal that is no kind": (
        lambda p: p.update(weak_signals=["hovering"]),
        'weak_signals[0]: found "hovering", expected one of login, hover, scroll; declare it under kinds of product.yaml',
    ),
    "a suppression list that is text": (
        lambda p: p.update(suppression_attribute="favourite"),
        'suppression_attribute: found "favourite", expected one of consent, blocked; declare it as boolean under profile of product.yaml',
    ),
    "a preference that is true or false": (
        lambda p: p.update(preference_attribute="blocked"),
        'preference_attribute: found "blocked", expected one of timezone, favourite; declare it as text or category under profile',
    ),
    "an availability that is text": (
        lambda p: p["channels"]["email"].update(available="favourite"),
        'channels.email.available: found "favourite", expected one of consent, blocked; declare it as boolean under profile',
    ),
    "everybody held out": (lambda p: p["holdout"].update(share=1.0), "holdout.share: found 1.0, expected a number < 1"),
    "a holdout without salt": (lambda p: p["holdout"].pop("salt"), "holdout.salt: found"),
    "chance above one": (lambda p: p["exploration"].update(arm_share=1.5), "exploration.arm_share: found 1.5, expected a number <= 1"),
    "an effect above one": (
        lambda p: p["messages"]["hello"].update(effect=1.2),
        "messages.hello.effect: found 1.2, expected a number <= 1",
    ),
    "a price below nothing": (
        lambda p: p["channels"]["email"].update(slot_price=-0.1),
        "channels.email.slot_price: found -0.1, expected a number >= 0",
    ),
    "a priority out of range": (
        lambda p: p["messages"]["hello"].update(priority=1001),
        "messages.hello.priority: found 1001, expected a number <= 1000",
    ),
    "a mode that is none": (lambda p: p.update(mode="dry"), 'mode: found "dry", expected'),
    "a suppression longer than the ledger remembers": (
        lambda p: p["messages"]["hello"].update(suppresses="91d"),
        "messages.hello.suppresses: found",
    ),
    "a fatigue window of nothing": (lambda p: p.update(fatigue_window="0s"), "fatigue_window: found"),
    "a cap on an unknown message": (
        lambda p: p["caps"].update(hello={"message": "bye", "limit": 1}),
        'caps.hello.message: found "bye", expected one of hello; declare it under messages or correct the name',
    ),
    "a rate limit on an unknown campaign": (
        lambda p: p.update(rate_limits={"spring": {"campaign": "spring", "limit": 1, "per": "1h"}}),
        'rate_limits.spring.campaign: found "spring"',
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_place_found_expected_and_remedy(name, load):
    edit, expected = FAULTS[name]
    with pytest.raises(DeclarationError) as caught:
        load(edit)
    assert expected in str(caught.value)
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize("conditions", [["count_hover_1d >= 2", "count_login_1d >= 1"], ["count_login_1d >= 1"], ["segment == all"]])
def test_a_weak_signal_beside_another_one_may_fire(load, conditions):
    load(lambda p: p["triggers"]["hesitating"].update(conditions=conditions))


def test_a_weak_signal_beside_the_risk_may_fire(load):
    load(lambda p: p["triggers"]["hesitating"].update(conditions=["count_hover_1d >= 2"], risk_above_threshold=True))


SECTIONS = [one for one in vars(schema).values() if isinstance(one, type) and issubclass(one, Declared) and one is not Declared]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_is_told_in_the_document(section):
    text = (ROOT / "docs" / "policy-file.md").read_text()
    assert [key for key in section.model_fields if f"`{key}`" not in text] == []
