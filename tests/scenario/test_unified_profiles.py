"""One person on several devices, through HTTP, worker, Redis, Feast and Parquet."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from features.backfill.snapshots import build_snapshots
from features.core.event import from_us, to_us
from features.core.kernel import vector
from features.core.timeline import unpack
from features.ports import StoreError
from tests.installed_world import InstalledWorld
from tests.serving_world import FixedScorer, World


@pytest.fixture
def world(tmp_path, redis_url):
    world = InstalledWorld(tmp_path / "home", redis_url)
    yield world
    world.close()


def features_of(world, user_id, as_of):
    spine = pa.table({"user_id": [user_id], "as_of": pa.array([as_of], pa.timestamp("us", tz="UTC"))})
    product = world.opened.product
    table = build_snapshots(world.home.raw_dir(product.name), product, spine)
    return np.array([table[name][0].as_py() for name in product.catalogue.feature_names])


def test_s1_19_web_mobile_and_email_behaviour_meet_in_one_profile_and_training_sees_what_serving_saw(world):
    world.send(world.event("web-7", "login"), world.event("phone-7", "login"), world.identify("web-7", device="web"))
    before = world.now
    world.later(minutes=5)
    world.send(world.event("ada", "login"))
    assert world.send(world.alias("web-7", "ada"), world.identify("ada", anonymous_id="phone-7", plan="team"))["rejected"] == []
    attached = world.now
    world.later(minutes=5)
    world.send(world.event("phone-7", "login"))  # the phone has not heard of ada yet

    stored = world.opened.timelines.read(["ada"])[0].packed
    assert unpack(stored).n_events == 4
    assert world.opened.profiles.read(["ada"])[0]["device"] == "web"
    assert world.opened.profiles.read(["ada"])[0]["plan"] == "team"
    live = vector(stored, world.now_us, world.opened.program)
    np.testing.assert_array_equal(features_of(world, "ada", world.now), live)
    np.testing.assert_array_equal(features_of(world, "phone-7", world.now), live)
    assert np.nansum(features_of(world, "ada", before)) == 0
    just_before = from_us(to_us(attached) - 1)
    logins = world.opened.product.catalogue.feature_names.index("count_login_7d")
    assert [
        features_of(world, user_id, at)[logins] for user_id, at in (("web-7", just_before), ("ada", just_before), ("ada", attached))
    ] == [1, 0, 3]
    assert unpack(stored).newest_known_us == world.now_us
    assert world.decide("phone-7")["user_id"] == world.decide("web-7")["user_id"] == "ada"


def test_s1_19_an_id_belongs_to_the_first_user_who_claimed_it_and_senders_are_told(world):
    world.send(world.event("phone-7", "login"), world.alias("phone-7", "ada"))
    answer = world.send(
        world.alias("phone-7", "ben"), world.alias("ada", "phone-7"), world.alias("ada", "ada"), world.alias("phone-7", "ada")
    )
    assert [row["code"] for row in answer["rejected"]] == ["alias_conflict", "alias_cycle", "alias_cycle"]
    assert answer["accepted"] == 1
    assert world.decide("ben")["user_id"] == "ben"


def test_s1_20_the_same_message_is_not_repeated_on_a_second_device(world):
    world.send(world.identify("phone-7"), world.identify("ada"), *(world.event("phone-7", "login_failed") for _ in range(3)))
    first = world.decide("phone-7")
    assert (first["action"], first["user_id"]) == ("send", "phone-7")
    world.send(world.alias("phone-7", "ada"))
    world.later(seconds=20)
    world.send(*(world.event("ada", "login_failed") for _ in range(3)))
    second = world.decide("ada")
    assert (second["action"], second["trigger"]) == ("none", first["trigger"])
    assert second["reason"]["code"] in {"cooldown", "cap_reached"}
    assert world.decide("phone-7")["action"] == "none"
    assert [one.decision_id for one in world.opened.ledger.contacts("onboarding", "ada", since_us=0)] == [first["decision_id"]]


def test_s1_20_without_the_alias_the_second_device_would_have_repeated_it(world):
    """The control: what unified profiles prevent."""
    for user_id in ("phone-7", "ada"):
        world.send(world.identify(user_id), *(world.event(user_id, "login_failed") for _ in range(3)))
    assert [world.decide(user_id)["message"]["id"] for user_id in ("phone-7", "ada")] == ["secure_reset"] * 2


def test_s1_20_what_the_user_was_told_holds_for_the_id_that_is_attached_later(world):
    world.send(world.identify("ada"), *(world.event("ada", "login_failed") for _ in range(3)))
    assert world.decide("ada")["action"] == "send"
    world.send(world.alias("phone-7", "ada"), *(world.event("phone-7", "login_failed") for _ in range(3)))
    assert world.decide("phone-7")["action"] == "none"


def test_s1_19_the_receipts_of_both_ids_stay_findable_and_are_listed_together(world):
    world.send(world.event("phone-7", "login"))
    decisions = [world.decide("phone-7"), world.decide("ada")]
    world.send(world.alias("phone-7", "ada"))
    world.later(minutes=1)
    decisions.append(world.decide("phone-7"))
    ids = [decision["decision_id"] for decision in decisions]
    assert [world.http.get(f"/v1/decisions/{id_}").status_code for id_ in ids] == [200] * 3
    assert [decision["user_id"] for decision in decisions] == ["phone-7", "ada", "ada"]
    found = world.opened.ledger_of_users.decision_ids(world.opened.identities.ids_of("phone-7"))
    assert sorted(found) == sorted(ids)
    assert found[-1] == ids[-1]


def test_s1_19_while_it_is_unknown_whom_an_id_stands_for_nothing_is_sent(onboarding, shipped_policy):
    class Away:
        def standing(self, user_ids):
            raise StoreError("aliases could not be read; start Redis")

    memory = World(onboarding, shipped_policy, scorer=FixedScorer(said_risk=0.9))
    memory.happens(memory.person(), "login_failed", times=3, ago=timedelta(seconds=1))
    assert memory.decide()["action"] == "send"
    memory.service = memory.service_with(shipped_policy, identities=Away())
    assert (memory.decide()["action"], memory.decide()["reason"]["code"]) == ("none", "ledger_unavailable")
