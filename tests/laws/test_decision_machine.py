"""R12: whatever is asked, retried, delivered, attached, erased, killed and changed, in whatever order, no limit is ever exceeded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from features.core.alias import Alias
from features.core.event import Event, from_us, to_us
from features.core.program import compile_program
from features.core.timeline import timeline_from_events
from serving.decision.policy import Cap, Exploration, MessageClass, RateLimit
from serving.policy_file.document import with_hash
from serving.ports import Delivery, Seed
from serving.replay import Outcome, Replayer
from tests.certain import certain_policy
from tests.laws.contact_model import ContactModel
from tests.laws.contact_places import Killed, MemoryPlace, RedisPlace

pytestmark = pytest.mark.timeout(900)

START_US = to_us(datetime(2026, 3, 28, 9, tzinfo=UTC))  # the eve of summer time in Berlin
SECOND_US = 1_000_000
USERS = tuple(f"u{number}" for number in range(4))
KEYS = tuple(range(8))
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland")
STEPS_S = (1, 90, 3_600, 5 * 3_600, 26 * 3_600)
AGREED = {"consent": True, "in_app_opt_in": True, "email_opt_in": True}
users, keys = st.sampled_from(USERS), st.sampled_from(KEYS)
deaths = st.sampled_from(["before the commit", "after the commit"])


def policies_of(product):
    """Calendar days; rolling windows, classes, messages and a rate limit; chance and suppression; moments by chance within all of them."""
    shipped = certain_policy(product)
    channels = tuple(replace(channel, deliver_within=timedelta(hours=2)) for channel in shipped.channels)
    messages = tuple(replace(message, cooldown=timedelta(minutes=30)) for message in shipped.messages)
    base = replace(shipped, channels=channels, messages=messages)
    rolling = (
        Cap(name="all_rolling", limit=2, window=timedelta(hours=24)),
        Cap(name="assist_rolling", limit=1, message_class=MessageClass.ASSIST, window=timedelta(hours=6)),
        Cap(name="one_message", limit=1, message_id="we_kept_your_place"),
    )
    rates = (RateLimit(name="mails", limit=2, per=timedelta(days=1), channel="email"),)
    suppressing = tuple(replace(message, suppresses=timedelta(hours=3)) for message in messages)
    chance = Exploration(arm_share=0.5, message_share=0.5, delay_share=0.5, delays=(timedelta(0), timedelta(hours=1), timedelta(hours=15)))
    variants = (
        base,
        replace(base, caps=rolling, rate_limits=rates),
        replace(base, quiet_hours=(), exploration=chance, messages=suppressing),
        replace(base, caps=rolling, rate_limits=rates, exploration=replace(chance, arm_share=0.0, delay_share=1.0)),
    )
    return tuple(with_hash(variant) for variant in variants)


class Machine(RuleBasedStateMachine):
    """One product, its users, and whoever asks about them."""

    place = None  # set by whoever runs it
    policies = ()

    @initialize()
    def start(self):
        self.now_us, self.changes, self.events = START_US, START_US, 0
        self.place.empty()
        self.policy = self.policies[0]
        self.model, self.answers, self.asked = ContactModel(), {}, {}
        for user_id in USERS:
            self.place.profiles.write({user_id: {**AGREED, "timezone": "UTC"}}, changed_us=self._change())
            self._happens(user_id, "login", *(timedelta(days=10, seconds=second) for second in range(12)))

    def _change(self):
        self.changes = max(self.changes + 1, self.now_us)
        return self.changes

    def _happens(self, user_id, kind, *ages):
        made = []
        for age in ages:
            self.events += 1
            at = from_us(self.now_us) - age
            made.append(Event(event_id=str(self.events), user_id=user_id, kind=kind, occurred_at=at, received_at=at))
        self.place.timelines.merge({user_id: timeline_from_events(made, self.place.product.catalogue.kinds)})

    def _granted(self, commit):
        self.model.grant(commit.user_id, commit.contact, orjson.loads(commit.receipt), self.policy)

    def _ask(self, key, user_id, dies=None):
        """Ask under a key: about whom it was first used for, as another body under it would be refused."""
        user_id, seed = self.asked.setdefault(key, (user_id, Seed(now_us=self.now_us, entropy=key.to_bytes(10, "big"))))
        service = self.place.service(self.policy, self._granted, dies)
        (answer,) = service.decide_many([user_id], now_us=self.now_us, seeds=[seed])
        return user_id, answer

    @rule(key=keys, user_id=users)
    def decide(self, key, user_id):
        user_id, answer = self._ask(key, user_id)
        output = orjson.loads(answer.output)
        if output["user_id"] in self.model.erased or user_id in self.model.erased:
            assert (output["action"], output["degraded"]) == ("none", ["user_erased"])
            return
        assert answer.stored
        assert self.answers.setdefault(key, answer.receipt) == answer.receipt, "a retry has another answer"
        assert (output["action"] == "send") is (output["decision_id"] in self.model.granted)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def retry(self, data):
        key = data.draw(st.sampled_from(sorted(self.asked)))
        self.decide(key, self.asked[key][0])

    @rule(key=keys, user_id=users, dies=deaths)
    def decide_and_die(self, key, user_id, dies):
        try:
            self._ask(key, user_id, dies)
        except Killed:
            self.place.reopen()

    @rule()
    def restart(self):
        self.place.reopen()

    @rule(user_id=users)
    def fail_to_sign_in(self, user_id):
        self._happens(user_id, "login_failed", *(timedelta(seconds=second) for second in (1, 2, 3)))

    @rule(user_id=users, zone=st.sampled_from(ZONES))
    def move(self, user_id, zone):
        self.place.profiles.write({user_id: {"timezone": zone}}, changed_us=self._change())

    @rule(seconds=st.sampled_from(STEPS_S))
    def wait(self, seconds):
        self.now_us += seconds * SECOND_US

    @rule(seconds=st.integers(1, 300))
    def set_the_clock_back(self, seconds):
        self.now_us -= seconds * SECOND_US

    @rule(number=st.integers(0, 2))
    def change_the_policy(self, number):
        self.policy = self.policies[number]

    @precondition(lambda self: self.model.granted)
    @rule(data=st.data(), late_s=st.sampled_from([0, 90]))
    def confirm(self, data, late_s):
        decision_id = self._one_granted(data)
        if not self.model.is_of_erased(decision_id):
            delivered_us = self.model.planned_us[decision_id] + late_s * SECOND_US
            told = self.place.ledger.confirm(self.place.product.name, decision_id, delivered_us=delivered_us)
            assert told is self.model.confirm(decision_id, delivered_us)

    @precondition(lambda self: self.model.granted)
    @rule(data=st.data())
    def release(self, data):
        decision_id = self._one_granted(data)
        if not self.model.is_of_erased(decision_id):
            told = self.place.ledger.release(self.place.product.name, decision_id)
            assert told is self.model.release(decision_id)
            assert told is not Delivery.UNKNOWN

    def _one_granted(self, data):
        return data.draw(st.sampled_from(sorted(self.model.granted)))

    def _receipt(self, decision_id):
        return self.place.ledger.receipt(self.place.product.name, decision_id)

    @rule(previous_id=users, user_id=users)
    def attach(self, previous_id, user_id):
        if previous_id == user_id:
            return
        now = from_us(self.now_us)
        alias = Alias(previous_id=previous_id, user_id=user_id, occurred_at=now, received_at=now)
        if self.place.attach(alias) is None:
            while (known := self.place.identities.standing([previous_id]).get(previous_id)) is not None and known.link is not None:
                self.model.adopt(previous_id, known.link.user_id)
                previous_id = known.link.user_id

    @rule(user_id=users)
    def erase(self, user_id):
        if len(self.model.erased) < 2:  # or soon nobody is left
            self.model.erased |= set(self.place.erase(user_id))

    @invariant()
    def the_ledger_holds_what_the_model_says(self):
        if hasattr(self, "model"):
            for user_id in USERS:
                if user_id not in self.model.erased:
                    held = self.place.ledger.contacts(self.place.product.name, user_id, since_us=0)
                    assert sorted(held, key=repr) == sorted(self.model.of(user_id), key=repr)

    @invariant()
    def each_grant_is_ordered_once(self):
        if hasattr(self, "model"):
            orders = [orjson.loads(order) for order in self.place.ledger.outbox(self.place.product.name)]
            ordered = [order["decision_id"] for order in orders if order["user_id"] not in self.model.erased]
            assert sorted(ordered) == sorted(one for one, user_id in self.model.granted.items() if user_id not in self.model.erased)

    def teardown(self):
        if not hasattr(self, "model"):
            return
        replayer = Replayer(archive=self.place.archive)
        for receipt in self.answers.values():
            report = replayer.replay(receipt)
            assert report.decision.outcome is Outcome.SAME, report.decision.differences


def run(place, *, max_examples, steps):
    """Run the machine in a place."""
    kind = type("Machine", (Machine,), {"place": place, "policies": policies_of(place.product)})
    chosen = settings(
        max_examples=max_examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(kind, settings=chosen)


def test_r12_over_the_memory_twins(onboarding):
    run(MemoryPlace(product=onboarding, program=compile_program(onboarding.catalogue), clock_us=lambda: 1), max_examples=25, steps=20)


@pytest.mark.faults
def test_r12_over_the_memory_twins_for_longer(onboarding):
    run(MemoryPlace(product=onboarding, program=compile_program(onboarding.catalogue), clock_us=lambda: 1), max_examples=2_000, steps=50)


@pytest.mark.faults
def test_r12_over_redis(redis_url, tmp_path):
    run(RedisPlace(tmp_path / "home", redis_url), max_examples=200, steps=30)
