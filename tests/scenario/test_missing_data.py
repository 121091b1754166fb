"""R10: whatever is missing, stale or of the wrong kind, the decision is the one in these tables, and never taken for granted."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from features.adapters.embedded_redis import EmbeddedRedis
from features.adapters.feast_rows import FeastRows
from features.adapters.feast_store import FeastProfileStore, FeastTimelineStore, open_store
from features.core.event import Event, to_us
from features.core.timeline import timeline_from_events
from features.home import Home
from features.ports import StoreError
from serving import bootstrap
from serving.adapters.person_store import RedisPersonStore
from serving.decision.policy import Degraded
from serving.policy_file.document import with_hash
from serving.ports import LedgerError
from serving.settings import read_settings
from tests.certain import certain_policy, certain_product
from tests.fault_proxy import FaultProxy
from tests.serving_world import NOON, FixedScorer, World

AWAY = object()
SILENCE = timedelta(days=10)
MAX_AGE = timedelta(days=12)


@pytest.fixture(scope="module")
def policy(onboarding):
    shipped = certain_policy(onboarding)
    return with_hash(replace(shipped, max_feature_age=MAX_AGE))


class Away:
    """A store that is not there."""

    def read(self, user_ids):
        raise StoreError("away")

    def contacts(self, product, user_id, *, since_us):
        raise LedgerError("away")


class Model(FixedScorer):
    """A model that may say anything."""

    def risk(self, vectors, profiles):
        if self.said_risk is None:
            raise ZeroDivisionError("no risk today")
        return super().risk(vectors, profiles)


def known(world):
    """Somebody who agreed to everything and has been silent for ten days: an e-mail is due."""
    world.person("ada")
    world.happens("ada", "login", times=12, ago=SILENCE)


def nobody(world):
    """Never heard of."""


def without_profile(world):
    world.happens("ada", "login", times=12, ago=SILENCE)


def without_events(world):
    world.person("ada")


def with_attributes(**attributes):
    def arrange(world):
        known(world)
        world.person("ada", **attributes)

    return arrange


def last_heard_of(ago):
    def arrange(world):
        world.person("ada")
        world.happens("ada", "login", times=12, ago=ago)

    return arrange


def in_trouble(**attributes):
    """Three failed sign-ins a moment ago: help is due whatever the model says."""

    def arrange(world):
        known(world)
        world.happens("ada", "login_failed", times=3)
        world.person("ada", **attributes)

    return arrange


def broken(packed):
    def arrange(world):
        known(world)
        world.timelines = Fixed(packed)

    return arrange


class Fixed:
    """A timeline store that holds these bytes for everybody."""

    def __init__(self, packed):
        self.packed = packed

    def read(self, user_ids):
        from features.ports import StoredTimeline

        return [StoredTimeline(packed=self.packed, version_us=1) for _ in user_ids]


def away(*names):
    def arrange(world):
        known(world)
        for name in names:
            setattr(world, name, Away())

    return arrange


NOTHING, SENT = ("none", "no_consent", []), ("send", "sent_by_high_risk", [])
TABLE = {
    "everything is there": (known, 0.9, SENT),
    "a missing user": (nobody, 0.9, NOTHING),
    "a missing profile": (without_profile, 0.9, NOTHING),
    "no event": (without_events, 0.9, ("none", "too_little_evidence", [])),
    "consent withdrawn": (with_attributes(consent=False), 0.9, NOTHING),
    "consent unset": (with_attributes(consent=None), 0.9, NOTHING),
    "consent as a text": (with_attributes(consent="true"), 0.9, NOTHING),
    "consent as a number": (with_attributes(consent=1), 0.9, NOTHING),
    "consent not a number": (with_attributes(consent=math.nan), 0.9, NOTHING),
    "an opt-in as a text": (with_attributes(email_opt_in="yes"), 0.9, ("none", "no_opt_in", [])),
    "an opt-in as a number": (with_attributes(email_opt_in=1.0), 0.9, ("none", "no_opt_in", [])),
    "a zone as a number": (with_attributes(timezone=7), 0.9, SENT),  # the policy's zone counts
    "a zone that does not exist": (with_attributes(timezone="Mars/Olympus"), 0.9, SENT),
    "a plan as a list": (with_attributes(plan=["team"]), 0.9, SENT),  # a category that the model never saw
    "a plan that breaks the model": (with_attributes(plan="breaks the model"), 0.9, ("none", "model_missing", ["model_missing"])),
    "a risk that is no number": (known, math.nan, ("none", "model_missing", ["model_missing"])),
    "a risk beyond 1": (known, 1.5, ("none", "model_missing", ["model_missing"])),
    "a model that fails": (known, None, ("none", "model_missing", ["model_missing"])),
    "trouble now, and a model that fails": (in_trouble(), None, ("send", "sent_by_repeated_login_failures", ["model_missing"])),
    "trouble now, and an opt-in as a text": (in_trouble(in_app_opt_in="yes", email_opt_in=False), 0.9, ("none", "no_opt_in", [])),
    "as old as is allowed": (last_heard_of(MAX_AGE), 0.9, SENT),
    "older than is allowed": (last_heard_of(MAX_AGE + timedelta(microseconds=1)), 0.9, ("none", "features_stale", ["features_stale"])),
    "a timeline that cannot be read": (broken(b"\xff" * 40), 0.9, ("none", "features_unavailable", ["features_unavailable"])),
    "a timeline cut short": (broken(b"SH"), 0.9, ("none", "features_unavailable", ["features_unavailable"])),
    "timelines away": (away("timelines"), 0.9, ("none", "features_unavailable", ["features_unavailable"])),
    "profiles away": (away("profiles"), 0.9, ("none", "profile_unavailable", ["profile_unavailable"])),
    "the ledger away": (away("ledger"), 0.9, ("none", "ledger_unavailable", ["ledger_unavailable"])),
    "timelines and profiles away": (
        away("timelines", "profiles"),
        0.9,
        ("none", "features_unavailable", ["features_unavailable", "profile_unavailable"]),
    ),
    "everything away": (
        away("timelines", "profiles", "ledger"),
        0.9,
        ("none", "ledger_unavailable", ["features_unavailable", "profile_unavailable", "ledger_unavailable"]),
    ),
}


@pytest.mark.parametrize("what", TABLE)
def test_r10_the_decision_is_the_one_in_the_table(onboarding, policy, what):
    arrange, risk, expected = TABLE[what]
    world = World(onboarding, policy, scorer=Model(said_risk=risk, said_contributions={"silence": 1.0}))
    ledger = world.ledger
    arrange(world)
    world.service = world.service_with(policy)
    decision = world.decide("ada")
    assert (decision["action"], decision["reason"]["code"], decision["degraded"]) == expected
    assert len(ledger.outbox("onboarding")) == (decision["action"] == "send")


LEDGER = ["ledger_unavailable"]
FEATURES = ["features_unavailable", "profile_unavailable"]


def gave_up_signing_in(world):
    """Two failed sign-ins two minutes ago and nothing since: help is due, and so is an e-mail, if this is news."""
    known(world)
    world.happens("ada", "login_failed", times=2, ago=timedelta(minutes=2))


def also_away(name):
    def arrange(world):
        gave_up_signing_in(world)
        setattr(world, name, Away())

    return arrange


CAREFUL = Degraded(assist_without_model=False)
HELPFUL = Degraded(assist_on_stale_features=True)
HELPED, MISSING, STALE = "sent_by_login_abandoned", ["model_missing"], ["features_stale"]
A_MINUTE, AN_HOUR = timedelta(minutes=1), timedelta(hours=1)
WHERE_THE_POLICY_ALLOWS = {  # what it says of degradation, what makes features stale, and whether there is a model: what comes of it
    "no model": (Degraded(), AN_HOUR, None, gave_up_signing_in, ("send", HELPED, MISSING)),
    "no model, and help needs one": (CAREFUL, AN_HOUR, None, gave_up_signing_in, ("none", "model_missing", MISSING)),
    "a model, and help needs one": (CAREFUL, AN_HOUR, 0.9, gave_up_signing_in, ("send", HELPED, [])),
    "no news": (Degraded(), A_MINUTE, 0.9, gave_up_signing_in, ("none", "features_stale", STALE)),
    "no news, and help needs none": (HELPFUL, A_MINUTE, 0.9, gave_up_signing_in, ("send", HELPED, STALE)),
    "news, and help needs none": (HELPFUL, AN_HOUR, 0.9, gave_up_signing_in, ("send", HELPED, [])),
    "no news, and no e-mail either way": (HELPFUL, A_MINUTE, 0.9, known, ("none", "features_stale", STALE)),
    "neither model nor news, and help needs no news": (HELPFUL, A_MINUTE, None, gave_up_signing_in, ("send", HELPED, [*MISSING, *STALE])),
    "caps fail closed whatever the policy allows": (HELPFUL, A_MINUTE, 0.9, also_away("ledger"), ("none", LEDGER[0], [*STALE, *LEDGER])),
    "nothing is known, whatever the policy allows": (HELPFUL, A_MINUTE, 0.9, also_away("timelines"), ("none", FEATURES[0], FEATURES[:1])),
}


@pytest.mark.parametrize("what", WHERE_THE_POLICY_ALLOWS)
def test_r10_help_by_rule_goes_on_where_the_policy_allows(onboarding, policy, what):
    degraded, max_age, risk, arrange, expected = WHERE_THE_POLICY_ALLOWS[what]
    says = with_hash(replace(policy, degraded=degraded, max_feature_age=max_age))
    world = World(onboarding, says, scorer=Model(said_risk=risk, said_contributions={"silence": 1.0}))
    ledger = world.ledger
    arrange(world)
    world.service = world.service_with(says)
    answer = world.answer("ada")
    decision = orjson.loads(answer.output)
    assert (decision["action"], decision["reason"]["code"], decision["degraded"]) == expected
    assert answer.labels == (decision["action"], decision["reason"]["code"], tuple(decision["degraded"]))  # what is counted
    assert [orjson.loads(order)["class"] for order in ledger.outbox("onboarding")] == ["assist"] * (decision["action"] == "send")


TWO_SERVERS = {  # which is away, and how: what is decided, and whether a receipt is kept
    ("none", "pass"): ("send", "sent_by_high_risk", [], True),
    ("features", "down"): ("none", "features_unavailable", FEATURES, True),
    ("features", "reset"): ("none", "features_unavailable", FEATURES, True),
    ("features", "black hole"): ("none", "ledger_unavailable", [*FEATURES, *LEDGER], False),  # one call waits once
    ("ledger", "down"): ("none", "ledger_unavailable", LEDGER, False),
    ("ledger", "reset"): ("none", "ledger_unavailable", LEDGER, False),
    ("ledger", "black hole"): ("none", "ledger_unavailable", [*FEATURES, *LEDGER], False),
}
TIMEOUT_S = 0.25


@pytest.fixture(scope="module")
def two_servers(redis_server, onboarding, tmp_path_factory):
    """A service whose features are on one Redis and whose ledger is on another, with a proxy before each."""
    home = tmp_path_factory.mktemp("home")
    with EmbeddedRedis(home / "features") as other, FaultProxy(other.url) as features, FaultProxy(redis_server.url) as ledger:
        settings = read_settings({"STILLHERE_HOME": str(home), "STILLHERE_PRODUCT": str(certain_product(home / "product"))})
        opened = bootstrap.installation(settings, ledger.url, timeout_s=TIMEOUT_S, asks_registry=False)
        store = open_store(onboarding, Home(home / "of-features"), features.url, timeout_s=TIMEOUT_S)
        events = [
            Event(event_id=str(second), user_id="ada", kind="login", occurred_at=at, received_at=at)
            for second, at in ((second, NOON - SILENCE - timedelta(seconds=second)) for second in range(12))
        ]
        kinds = onboarding.catalogue.kinds
        FeastTimelineStore(store, kinds=kinds, clock_us=lambda: 1).merge({"ada": timeline_from_events(events, kinds)})
        agreed = {"consent": True, "email_opt_in": True, "in_app_opt_in": True, "timezone": "UTC"}
        FeastProfileStore(store, onboarding).write({"ada": agreed}, changed_us=to_us(NOON))
        rows = FeastRows(store, onboarding)
        people = RedisPersonStore(product=onboarding.name, identities=opened.identities, ledger=opened.ledger, rows=rows)
        scorer = FixedScorer(said_risk=0.9, said_contributions={"silence": 1.0})
        yield replace(opened.decisions_by(opened.policy, scorer), people=people), {"features": features, "ledger": ledger}
        opened.close()


@pytest.mark.parametrize("fault", TWO_SERVERS, ids=" ".join)
def test_r10_one_server_of_two_away(two_servers, redis_url, fault):
    service, proxies = two_servers
    action, code, degraded, stored = TWO_SERVERS[fault]
    which, mode = fault
    service.decide_one("somebody", now_us=to_us(NOON))  # both are connected to, and the script is known
    if which != "none":
        proxies[which].mode = mode
    try:
        answer = service.decide_one("ada", now_us=to_us(NOON))
    finally:
        for proxy in proxies.values():
            proxy.mode = "pass"
    assert (*answer.labels, answer.stored) == (action, code, tuple(degraded), stored)
    assert len(service.ledger.outbox("onboarding")) == (action == "send")
