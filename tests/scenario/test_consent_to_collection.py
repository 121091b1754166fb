"""S1.14 and S1.15 through HTTP, worker, Redis, Feast and Parquet: behaviour is collected of those who agreed, or did not opt out."""

from __future__ import annotations

import gzip

import orjson
import pytest

from features.core.timeline import unpack
from features.declarations.product_file import load_product
from features.home import Home
from features.ingest.import_log import declared_files, import_file
from features.ingest.rebuild import rebuild
from serving.cli.import_command import summary
from tests.certain import certain_product
from tests.installed_world import InstalledWorld
from tests.small_model import write_small_bundle


@pytest.fixture
def world_where(tmp_path, redis_url):
    opened = []

    def world(unless_said):
        declares = f"collection: {{attribute: consent, unless_said: {unless_said}}}"
        opened.append(InstalledWorld(tmp_path / "home", redis_url, declares=declares))
        return opened[-1]

    yield world
    for one in opened:
        one.close()


def logged(world):
    table = world.opened.raw_log.scan()
    return sorted(table["event_id"].to_pylist()) if table.num_rows else []


def n_events(world, user_id):
    return unpack(world.opened.timelines.read([user_id])[0].packed).n_events


def test_s1_14_nothing_is_collected_before_consent_and_the_sender_is_told_accepted(world_where):
    world = world_where("refused")
    before, after = world.event("ada", "login"), world.event("ada", "login")
    assert world.send(before) == {"accepted": 1, "rejected": []}
    assert (logged(world), n_events(world, "ada")) == ([], 0)
    assert (world.opened.stream.backlog(), world.opened.stream.dead_letters()) == (0, [])
    assert world.send(world.identify("ada"), after)["accepted"] == 2
    assert (logged(world), n_events(world, "ada")) == ([after["event_id"]], 1)


def test_s1_14_who_agrees_is_helped_by_what_came_since_and_who_does_not_is_a_stranger(world_where):
    world = world_where("refused")
    failures = [world.event(user_id, "login_failed") for user_id in ("ada", "ben") for _ in range(3)]
    world.send(world.identify("ada"), world.identify("ben", consent=False), *failures)
    assert (world.decide("ada")["action"], world.decide("ben")["action"]) == ("send", "none")
    assert n_events(world, "ben") == 0


def test_s1_15_an_opt_out_stops_the_collecting_and_a_rebuild_brings_back_only_what_was_kept(world_where):
    world = world_where("kept")
    kept = world.event("ada", "login")
    world.send(kept, world.identify("ada", consent=False), world.event("ada", "login"))
    world.later(minutes=5)
    world.send(world.event("ada", "login"), world.event("phone", "login"), world.alias("phone", "ada"))
    world.later(minutes=5)
    world.send(world.event("phone", "login"))  # it is known by now to be ada's, who said no
    assert (len(logged(world)), n_events(world, "ada")) == (2, 2)
    rebuild(world.home.raw_dir("onboarding"), world.opened.product, world.opened.timelines, lambda _done, _total: None)
    assert n_events(world, "ada") == 2
    world.send(world.identify("ada"), world.event("ada", "login"))
    assert (len(logged(world)), n_events(world, "ada")) == (3, 3)


def test_s1_15_a_no_beside_something_wrong_counts_and_the_sender_is_told_what_was(world_where):
    world = world_where("kept")
    before, after = world.event("ada", "login"), world.event("ada", "login")
    answer = world.send(before, world.identify("ada", consent=False, first_name=""), after)
    ((rejected),) = answer["rejected"]
    assert (answer["accepted"], rejected["index"], rejected["code"], rejected["field"]) == (2, 1, "bad_attribute", "traits.first_name")
    assert logged(world) == [before["event_id"]]
    assert (world.opened.stream.backlog(), world.opened.stream.dead_letters()) == (0, [])
    alone = world.http.post("/v1/events", world.identify("ben", consent=False, shoe_size=43))
    assert (alone.status_code, alone.json()["error"]["code"], alone.json()["accepted"]) == (422, "all_rejected", 0)
    world.send(world.event("ben", "login"))
    assert logged(world) == [before["event_id"]]
    assert world.opened.profiles.read(["ada", "ben"]) == [{"consent": False}, {"consent": False}]


def test_s1_15_of_somebody_who_was_erased_not_even_a_no_is_taken(world_where):
    world = world_where("kept")
    world.opened.erasure().erase("ada")
    answer = world.send(world.identify("ada", consent=False, first_name=""), world.event("ben", "login"))
    assert [row["code"] for row in answer["rejected"]] == ["bad_attribute"]
    assert world.opened.profiles.read(["ada"]) == [{}]


@pytest.mark.parametrize("unless_said", ["refused", "kept"])
def test_s1_15_a_no_counts_for_what_comes_after_it_under_any_id_of_the_person(world_where, unless_said):
    world = world_where(unless_said)
    phones = {f"phone-{number}": f"person-{number}" for number in range(8)}  # whatever streams their ids fall into
    world.send(*(world.alias(phone, person) for phone, person in phones.items()))
    world.send(*(world.identify(person) for person in phones.values()))
    for phone, person in phones.items():
        world.send(world.identify(person, consent=False), world.event(phone, "login"))
        assert (person, logged(world)) == (person, [])


def test_s1_14_an_import_of_a_folder_keeps_what_the_profiles_in_it_allow(world_where, tmp_path):
    world = world_where("refused")
    folder = tmp_path / "logs"
    folder.mkdir()
    header = "user_id,changed_at,plan,device,cohort,locale,signup_at,timezone,consent,in_app_opt_in,email_opt_in,first_name"
    answers = [f"{user_id},2026-01-01T00:00:00Z,free,web,,,,,{consent},,," for user_id, consent in (("ada", "true"), ("ben", "false"))]
    (folder / "profiles.csv").write_text("\n".join([header, *answers, ""]))
    at = "2026-01-02T00:00:00Z"
    events = [
        {"event_id": f"{user_id}-1", "user_id": user_id, "kind": "login", "occurred_at": at, "received_at": at}
        for user_id in ("ada", "ben", "eve")
    ]
    (folder / "events.jsonl.gz").write_bytes(gzip.compress(b"\n".join(orjson.dumps(event) for event in events)))
    product, target = world.opened.product, world.opened.import_target()
    reports = {log.name: import_file(path, log, product, target) for path, log in declared_files(folder, product)}
    assert list(reports) == ["profiles", "events"]
    assert (reports["events"].admitted, reports["events"].not_kept, logged(world)) == (1, 2, ["ada-1"])
    assert summary(reports["events"]).endswith("; not kept: 2 rows of people who are not to be tracked")


GUARDRAIL = """
guardrails:
  untracked:
    conditions: ["segment.tracked == said_no"]
    classes: [outreach]
    sentence: The user is not tracked, so nobody can say what they lately did.
"""


def declared_with_tracking(folder, *, is_guarded):
    """Make tracking a question of its own, as docs/people.md shows; ``is_guarded``: outreach is closed to those who said no."""
    certain_product(folder)
    product, policy = folder / "product.yaml", folder / "policy.yaml"
    declared = product.read_text().replace("\nprofile:\n", "\nprofile:\n  tracking: {type: boolean, model: false}\n")
    segments = "\nsegmentations:\n  tracked:\n    said_no: {tracking: false}\n    everybody_else: {}\n"
    declared = declared.replace("\nsegmentations:\n", segments)
    product.write_text(f"{declared}\ncollection: {{attribute: tracking, unless_said: kept}}\n")
    if is_guarded:
        policy.write_text(policy.read_text().replace("\nguardrails:\n", GUARDRAIL))


@pytest.mark.parametrize("is_guarded", [False, True])
def test_s1_15_who_opted_out_looks_silent_to_a_rule_of_absence_unless_a_guardrail_says_so(tmp_path, redis_url, is_guarded):
    """Ada and Cyd came daily; Ada comes still, unseen."""
    declared_with_tracking(tmp_path / "home-product", is_guarded=is_guarded)
    write_small_bundle(load_product(tmp_path / "home-product"), Home(tmp_path / "home").bundles_dir("onboarding") / "1")
    world = InstalledWorld(tmp_path / "home", redis_url)
    users = ("ada", "cyd")
    world.send(*map(world.identify, users))
    for _ in range(4):
        world.send(*(world.event(user, "login") for user in users for _ in range(3)))
        world.later(hours=20)
    world.send(world.identify("ada", tracking=False))
    world.later(hours=8)
    world.send(world.event("ada", "login"))
    written_to = ("send", "sent_by_regular_away_for_a_day")
    ada, cyd = [(answer["action"], answer["reason"]["code"]) for answer in map(world.decide, users)]
    assert (ada == written_to, ada[0], cyd) == (not is_guarded, "none" if is_guarded else "send", written_to)
    world.close()
