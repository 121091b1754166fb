from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from features.declarations.product_file import load_product
from features.declarations.yaml_file import DeclarationError
from serving.adapters.redis_ledger import RedisLedger
from serving.decision.policy import MessageClass
from serving.policy_file import load_policy, policy_document, policy_from_document
from serving.policy_file.schema import LONGEST_COOLDOWN
from tests.serving_world import ROOT

TEXT = (ROOT / "products" / "onboarding" / "policy.yaml").read_text()


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        file = tmp_path / "policy.yaml"
        file.write_text(text)
        return file

    return write


def changed(edit) -> str:
    content = yaml.load(TEXT, Loader=yaml.BaseLoader)  # everything as text, as it stands in the file
    edit(content)
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=False).replace("'true'", "true").replace("'false'", "false")


NUMBERS = (
    "limit|min_events|risk_threshold|min_contribution|version|enterprise|free|slot_price|priority|effect|share|arm_share|message_share"
    "|items"
)


def unquoted(text: str) -> str:
    return re.sub(rf"({NUMBERS}): '([^']*)'", r"\1: \2", text)


@pytest.mark.parametrize("product", ["onboarding", "mooc", "shop"])
def test_every_shipped_policy_loads(product):
    folder = ROOT / "products" / product
    policy = load_policy(folder / "policy.yaml", load_product(folder))
    assert policy.name == product
    assert policy_from_document(policy_document(policy)) == policy


def test_the_shipped_policy_means_what_it_says(shipped_policy):
    assert [(c.name, c.message_class, c.opt_in) for c in shipped_policy.channels] == [
        ("in_app", MessageClass.ASSIST, "in_app_opt_in"),
        ("push", MessageClass.OUTREACH, "push_opt_in"),
        ("email", MessageClass.OUTREACH, "email_opt_in"),
    ]
    assert [(q.start_minute, q.end_minute) for q in shipped_policy.quiet_hours] == [(21 * 60, 8 * 60)]
    assert "tenure" not in shipped_policy.actionable_causes


def test_the_hash_covers_what_is_said_and_not_how_it_is_written(write, onboarding):
    shipped_policy = load_policy(ROOT / "products" / "onboarding" / "policy.yaml", onboarding)
    assert load_policy(write(unquoted(changed(lambda _: None))), onboarding).hash == shipped_policy.hash  # no comments, another layout
    louder = load_policy(write(TEXT.replace("Can we help?", "CAN WE HELP?")), onboarding)
    assert louder.hash != shipped_policy.hash


FAULTS = {
    "channels that are not there": (
        lambda p: p["messages"]["back_in"].update(channel="pigeon"),
        'messages.back_in.channel: found "pigeon", expected one of in_app, push, email',
    ),
    "a feature that is not declared": (
        lambda p: p["triggers"]["repeated_login_failures"].update(conditions=["count_logins_2m >= 3"]),
        'triggers.repeated_login_failures.conditions[0]: found "count_logins_2m"',
    ),
    "a condition that is none": (
        lambda p: p["triggers"]["repeated_login_failures"].update(conditions=["count_login_failed_2m = 3"]),
        'conditions[0]: found "count_login_failed_2m = 3", expected a condition such as',
    ),
    "a trigger that always fires": (
        lambda p: p["triggers"]["high_risk"].pop("risk_above_threshold"),
        "triggers.high_risk: found neither, expected conditions, or risk_above_threshold: true",
    ),
    "a trigger about no known cause": (
        lambda p: p["triggers"]["skipped_setup"].update(cause="bad_luck"),
        'triggers.skipped_setup.cause: found "bad_luck"',
    ),
    "a message about no known cause": (
        lambda p: p["messages"]["secure_reset"].update(causes=["bad_luck"]),
        'messages.secure_reset.causes[0]: found "bad_luck"',
    ),
    "a class without its channel": (
        lambda p: p["messages"]["secure_reset"].update(message_class="outreach"),
        'messages.secure_reset.message_class: found "outreach", expected assist',
    ),
    "a channel without a fallback": (
        lambda p: p["messages"].pop("checking_in"),
        "messages: found 0 messages without causes on email, expected one",
    ),
    "a second fallback": (
        lambda p: p["messages"]["back_in"].pop("causes"),
        "messages: found 2 messages without causes on email (back_in, checking_in)",
    ),
    "a cap below nothing": (
        lambda p: p["caps"]["email_per_day"].update(limit="-1"),
        "caps.email_per_day.limit: found -1, expected a number >= 0",
    ),
    "no caps at all": (lambda p: p.pop("caps"), "caps: found no cap for the channel in_app, expected a cap for every channel"),
    "a channel without a cap": (
        lambda p: p["caps"].pop("email_per_day"),
        "caps: found no cap for the channel email, expected a cap for every channel; add one, for example email_per_day: {channel: email",
    ),
    "no cap for all channels together": (
        lambda p: p["caps"].pop("all_per_day"),
        "caps: found no cap for all channels together, expected a cap without channel; add one, for example all_per_day: {limit: 2}",
    ),
    "a cooldown of nothing": (
        lambda p: p["messages"]["back_in"].update(cooldown="0s"),
        "messages.back_in.cooldown: found",
    ),
    "a cooldown that the ledger forgets": (
        lambda p: p["messages"]["back_in"].update(cooldown="91d"),
        "expected a duration longer than nothing and at most 90d; the ledger forgets older contacts",
    ),
    "a cap on no channel": (lambda p: p["caps"]["email_per_day"].update(channel="fax"), 'caps.email_per_day.channel: found "fax"'),
    "a zone that is none": (
        lambda p: p.update(default_timezone="Berlin"),
        'default_timezone: found "Berlin", expected an IANA time zone',
    ),
    "consent that is not declared": (
        lambda p: p.update(consent_attribute="agreed"),
        'consent_attribute: found "agreed", expected one of consent',
    ),
    "consent that is not true or false": (lambda p: p.update(consent_attribute="plan"), 'consent_attribute: found "plan"'),
    "a time zone that is not text": (lambda p: p.update(timezone_attribute="consent"), 'timezone_attribute: found "consent"'),
    "an opt-in that is not declared": (lambda p: p["channels"]["email"].update(opt_in="mail_ok"), 'channels.email.opt_in: found "mail_ok"'),
    "a segment that is not declared": (
        lambda p: p["segment_thresholds"].update({"vip": "free"}),
        "segment_thresholds.vip: found",
    ),
    "a segmentation that is not declared": (
        lambda p: p["triggers"]["skipped_setup"].update(conditions=["segment.mood == good"]),
        'triggers.skipped_setup.conditions[0]: found "mood", expected one of activation, lifecycle, value, engagement, learned',
    ),
    "a segment that its segmentation does not have": (
        lambda p: p["messages"]["whats_next"].update(conditions=["segment.activation != dormant"]),
        'messages.whats_next.conditions[0]: found "dormant", expected one of engaged, at_risk',
    ),
    "a primary segment that is not declared": (
        lambda p: p["triggers"]["skipped_setup"].update(conditions=["segment == vip"]),
        'triggers.skipped_setup.conditions[0]: found "vip", expected one of enterprise,',
    ),
    "a learned segment by its name instead of its id": (
        lambda p: p["triggers"]["skipped_setup"].update(conditions=["segment.learned == explorers"]),
        'triggers.skipped_setup.conditions[0]: found "explorers", expected the id of a learned segment such as s3',
    ),
    "a placeholder that is not declared": (
        lambda p: p["messages"]["back_in"].update(title="Hello {nickname|there}"),
        'messages.back_in.title: found "nickname"',
    ),
    "a placeholder without words for those unset": (
        lambda p: p["messages"]["back_in"].update(body="Hello {first_name}"),
        "messages.back_in.body: found {first_name}, expected words for users who have not set it; write {first_name|...}",
    ),
    "a brace gone astray": (
        lambda p: p["messages"]["back_in"].update(body="Hello {first name|there}"),
        "messages.back_in.body: found a brace outside a placeholder",
    ),
    "quiet hours without length": (
        lambda p: p["quiet_hours"][0].update(end="21:00"),
        "quiet_hours[0]: found start and end at the same time",
    ),
    "quiet hours without an end": (
        lambda p: p["quiet_hours"].append({"start": "08:00", "end": "21:00", "classes": ["outreach"]}),
        "quiet_hours: found every minute of the day for outreach",
    ),
    "a time of day that is none": (
        lambda p: p["quiet_hours"][0].update(start="24:00"),
        'quiet_hours[0].start: found "24:00", expected a time of day',
    ),
    "a cooldown that is no duration": (
        lambda p: p["messages"]["back_in"].update(cooldown="a week"),
        'messages.back_in.cooldown: found "a week", expected a duration',
    ),
    "a severity that is none": (lambda p: p["triggers"]["high_risk"].update(severity="mild"), 'triggers.high_risk.severity: found "mild"'),
    "a key that is misspelt": (lambda p: p["messages"]["back_in"].update(cooldwn="1d"), "messages.back_in.cooldwn: found the unknown key"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_file_place_found_and_expected(name, write, onboarding):
    edit, expected = FAULTS[name]
    file = write(unquoted(changed(edit)).replace("vip: free", "vip: 0.5"))
    with pytest.raises(DeclarationError) as caught:
        load_policy(file, onboarding)
    assert expected in str(caught.value)
    assert all(line.startswith(f"{file}: ") and "expected" in line for line in str(caught.value).splitlines())


def test_all_faults_are_named_at_once(write, onboarding):
    def edit(policy):
        for name in ("a cap on no channel", "consent that is not declared", "a channel without a fallback"):
            FAULTS[name][0](policy)

    with pytest.raises(DeclarationError) as caught:
        load_policy(write(unquoted(changed(edit))), onboarding)
    assert len(caught.value.faults) == 4  # the cap on no channel leaves email without one


def test_a_trigger_of_a_class_without_channel_can_never_send(write, onboarding):
    def edit(policy):
        policy["channels"] = {"in_app": policy["channels"]["in_app"]}
        policy["messages"] = {name: m for name, m in policy["messages"].items() if m["channel"] == "in_app"}
        policy["caps"] = {name: cap for name, cap in policy["caps"].items() if cap.get("channel") in (None, "in_app")}

    with pytest.raises(DeclarationError, match=r'triggers\.high_risk\.message_class: found "outreach", expected one of assist'):
        load_policy(write(unquoted(changed(edit))), onboarding)


def test_a_channel_may_ask_for_no_opt_in_of_its_own(write, onboarding):
    policy = load_policy(write(unquoted(changed(lambda p: p["channels"]["in_app"].pop("opt_in")))), onboarding)
    assert [channel.opt_in for channel in policy.channels] == [None, "push_opt_in", "email_opt_in"]


def test_the_longest_cooldown_is_what_the_ledger_remembers(write, onboarding):
    policy = load_policy(write(unquoted(changed(lambda p: p["messages"]["back_in"].update(cooldown="90d")))), onboarding)
    longest = next(message.cooldown for message in policy.messages if message.id == "back_in")
    assert longest == LONGEST_COOLDOWN == RedisLedger(client=None).keep_contacts


def test_a_missing_file_is_named(tmp_path, onboarding):
    with pytest.raises(DeclarationError, match=r"policy\.yaml"):
        load_policy(tmp_path / "policy.yaml", onboarding)


def test_an_age_of_features_is_a_duration_longer_than_nothing(write, onboarding):
    text = unquoted(changed(lambda content: content.update(max_feature_age="60d")))
    assert load_policy(write(text), onboarding).max_feature_age == timedelta(days=60)
    with pytest.raises(DeclarationError, match="max_feature_age"):
        load_policy(write(unquoted(changed(lambda content: content.update(max_feature_age="0d")))), onboarding)
