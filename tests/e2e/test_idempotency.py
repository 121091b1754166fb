"""R4: the same key with the same body is one decision, however often and from however many at once; news of deliveries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from serving.ports import LedgerError
from tests.e2e.test_http import Site
from tests.installed_world import InstalledWorld
from tests.serving_world import FixedScorer


@pytest.fixture
def site(onboarding):
    return Site(onboarding, scorer=FixedScorer(said_risk=0.9, said_contributions={"silence": 1.0}))


@pytest.fixture
def ada(site):
    site.world.person("ada")
    site.world.happens("ada", "login", times=12, ago=timedelta(days=10))
    return "ada"


def ask(site, body, key):
    return site.http.post("/v1/decisions", body, headers={"Idempotency-Key": key})


def test_the_same_key_and_body_give_the_same_bytes_and_one_effect(site, ada):
    first = ask(site, {"user_id": ada}, "k1")
    site.world.later(hours=23)
    again = ask(site, {"user_id": ada}, "k1")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.json()["action"] == "send"
    assert len(site.world.ledger.outbox("onboarding")) == 1


def test_another_key_is_another_decision(site, ada):
    assert ask(site, {"user_id": ada}, "k1").json()["decision_id"] != ask(site, {"user_id": ada}, "k2").json()["decision_id"]


def test_another_body_under_the_same_key_is_a_conflict_without_effect(site, ada):
    ask(site, {"user_id": ada}, "k1")
    answer = ask(site, {"user_id": "bob"}, "k1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert site.world.ledger.contacts("onboarding", "bob", since_us=0) == ()


def test_a_list_is_the_same_list_again_its_bad_items_included(site, ada):
    body = [{"user_id": ada}, {"user": "nobody"}, {"user_id": ada}, {"user_id": "bob"}]
    first, again = (ask(site, body, "k1") for _ in range(2))
    assert first.content == again.content
    assert len({one.get("decision_id") for one in first.json()}) == 4
    assert len(site.world.ledger.outbox("onboarding")) == 1


@pytest.mark.parametrize(
    ("key", "got"),
    [
        (b"", "got 0 characters, expected"),
        (b" \t ", "got 0 characters, expected"),
        (b"x" * 256, "got 256 characters, expected"),
        (b"x" * 10_000, "got 10000 characters, expected"),
        (b"two words", "got 9 characters, ' ' among them, expected"),
        (b"k1, k2", "got 6 characters, ' ' among them, expected"),
        (b"ta\tb", r"got 4 characters, '\t' among them, expected"),
        ("schlüssel".encode(), r"got 10 characters, '\xc3' among them, expected"),
        (b"\xff", r"got 1 characters, '\xff' among them, expected"),
    ],
)
def test_what_is_no_key_is_refused_and_says_what_of_it(site, key, got):
    answer = ask(site, {"user_id": "ada"}, key)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (422, "invalid_request", "Idempotency-Key")
    assert error["message"].startswith(f"Idempotency-Key: {got}")


@pytest.mark.parametrize("second", ["k1", "k2"])
def test_two_keys_are_refused_be_they_the_same_and_nothing_is_decided(site, ada, second):
    answer = site.http.post("/v1/decisions", {"user_id": ada}, headers=[("Idempotency-Key", "k1"), ("idempotency-key", second)])
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (422, "invalid_request", "Idempotency-Key")
    assert error["message"] == "Idempotency-Key: got 2 such headers, expected one"
    assert "one key a request" in error["what_to_do"]
    assert site.world.ledger.contacts("onboarding", ada, since_us=0) == ()
    assert ask(site, {"user_id": "somebody else"}, "k1").status_code == 200  # neither key was claimed


TOO_MANY = [{"user_id": f"u{n}"} for n in range(501)]


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        ({"user": "ada"}, 422),
        ({"user_id": " "}, 422),
        ({"user_id": "x" * 129}, 422),
        ("ada", 422),
        ([{"user": "ada"}, 3], 422),
        (TOO_MANY, 413),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.parametrize("corrected", [{"user_id": "ada"}, [{"user_id": "ada"}, {"user_id": "bob"}]], ids=["one", "list"])
def test_a_body_that_is_refused_leaves_its_key_to_the_one_that_corrects_it(site, ada, refused, status, corrected):
    assert [ask(site, refused, "k1").status_code for _ in range(2)] == [status, status]
    first = ask(site, corrected, "k1")
    assert first.status_code == 200
    assert ask(site, refused, "k1").status_code == status  # refused for what it is, and the key is still the other body's
    assert ask(site, corrected, "k1").content == first.content
    assert len(site.world.ledger.outbox("onboarding")) == 1
    assert ask(site, {"user_id": "carl"}, "k1").json()["error"]["code"] == "idempotency_conflict"


def test_a_body_that_is_no_json_leaves_its_key(site, ada):
    assert site.http.post("/v1/decisions", content=b'{"user_id":', headers={"Idempotency-Key": "k1"}).status_code == 400
    assert ask(site, {"user_id": ada}, "k1").status_code == 200


def test_r4_refused_bodies_beside_good_ones_under_one_key_change_nothing(site, ada):
    """Sixteen at once: whoever is refused neither takes the key nor makes the good ones differ."""
    bodies = [{"user_id": ada}, {"user": ada}, [{"user": ada}], {"user_id": "\0"}]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: ask(site, bodies[n % 4], "k1"), range(64)))
    assert [answer.status_code for answer in answers] == [200, 422, 422, 422] * 16
    assert len({answer.content for answer in answers[::4]}) == 1
    assert len(site.world.ledger.outbox("onboarding")) == 1


def test_spaces_around_a_key_are_no_part_of_it(site, ada):
    assert ask(site, {"user_id": ada}, "  k1 \t").content == ask(site, {"user_id": ada}, "k1").content


def test_r4_of_two_bodies_at_once_under_one_key_one_is_decided_and_the_other_is_a_conflict(site):
    """The short form, in one process, of what `tests/e2e/test_requests_of_many_callers.py` asks of two over HTTP."""
    for key in range(4):
        users = [site.world.person(f"{name}-{key}") for name in ("ada", "bob")]
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n, users=users, key=key: ask(site, {"user_id": users[n % 2]}, f"k{key}"), range(16)))
        decided = {answer.content for answer in answers if answer.status_code == 200}
        assert sorted(answer.status_code for answer in answers) == [200] * 8 + [409] * 8
        assert len(decided) == 1
    assert len(site.world.ledger._receipts) == 4  # nothing was decided about those whose body lost


def test_where_keys_cannot_be_looked_up_it_is_decided_all_the_same(onboarding):
    class Away:
        def claim(self, product, key, claim):
            raise LedgerError("away")

    site = Site(onboarding, idempotency_keys=Away())
    assert ask(site, {"user_id": "ada"}, "k1").status_code == 200


def test_what_was_decided_before_an_alias_stays_the_answer_after_it(tmp_path, redis_url):
    world = InstalledWorld(tmp_path / "home", redis_url)
    try:
        world.send(world.identify("web-7"), *(world.event("web-7", "login") for _ in range(3)))
        first = ask(world, {"user_id": "web-7"}, "k1")
        world.send(world.alias("web-7", "ada"))
        assert ask(world, {"user_id": "web-7"}, "k1").content == first.content
        assert ask(world, {"user_id": "web-7"}, "k2").json()["user_id"] == "ada"
    finally:
        world.close()


def test_r4_what_was_decided_stays_the_answer_however_long_the_chain_of_aliases_grew_since(tmp_path, redis_url):
    """The second link came after the decision: its receipt lies under an id in the middle of the chain."""
    world = InstalledWorld(tmp_path / "home", redis_url)
    try:
        world.send(world.identify("web-7"), *(world.event("web-7", "login_failed") for _ in range(3)))
        world.send(world.alias("web-7", "trial-7"))
        first = ask(world, {"user_id": "web-7"}, "k1")
        assert first.json()["action"] == "send"
        world.send(world.alias("trial-7", "ada"))
        world.later(hours=2)
        assert ask(world, {"user_id": "web-7"}, "k1").content == first.content
        assert len(world.opened.ledger.outbox("onboarding")) == 1
    finally:
        world.close()


def test_r4_sixty_four_callers_with_few_keys_get_one_decision_a_key(site, ada):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: ask(site, {"user_id": ada}, f"k{n % 4}"), range(64)))
    by_key = [{answers[n].content for n in range(64) if n % 4 == key} for key in range(4)]
    assert [len(bytes_) for bytes_ in by_key] == [1, 1, 1, 1]
    assert len(site.world.ledger.outbox("onboarding")) == 1


def tell(site, *items):
    return site.http.post("/v1/deliveries", list(items))


def test_news_of_a_contact_that_counts_for_good_changes_nothing(site, ada):
    decision_id = ask(site, {"user_id": ada}, "k1").json()["decision_id"]
    failed = {"decision_id": decision_id, "status": "failed"}
    delivered = {"decision_id": decision_id, "status": "delivered", "at": "2026-03-02T12:00:01Z"}
    told = [
        one["result"] for one in tell(site, delivered, delivered, failed, {"decision_id": "nonsense", "status": "failed"}).json()["results"]
    ]
    assert told == ["known", "known", "known", "unknown"]  # no `deliver_within` on its channel


@pytest.mark.parametrize(
    ("item", "field"),
    [({"status": "failed"}, "[0].decision_id"), ({"decision_id": "d", "status": "lost"}, "[0].status"), (3, "[0]")],
)
def test_an_item_that_is_no_news_is_named_and_nothing_is_taken(site, item, field):
    answer = tell(site, item)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


def test_news_when_the_ledger_is_away_is_to_be_sent_again(onboarding):
    class Away:
        def confirm(self, product, decision_id, *, delivered_us):
            raise LedgerError("away")

    site = Site(onboarding, deliveries=Away())
    assert tell(site, {"decision_id": "d", "status": "delivered"}).status_code == 503
