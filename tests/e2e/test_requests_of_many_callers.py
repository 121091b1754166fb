"""R2, R4 and R5: a real service of two workers, asked by 64 callers who repeat themselves or disagree; and its workers killed meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import orjson
import pytest

from features.core.event import Event, from_us, to_us
from features.core.timeline import timeline_from_events
from serving import bootstrap
from serving.cli.processes import free_port
from serving.cli.stack import Stack, redis_server, service_and_worker
from serving.decision.ids import user_tag
from tests.e2e.callers import Asked, Callers, post, workers_of
from tests.following_world import Sources, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

CALLERS = 64
DISAGREEING = 32
CAP = 3
COOLDOWN = timedelta(seconds=1)
AGREED = {"consent": True, "in_app_opt_in": True, "email_opt_in": True, "timezone": "UTC"}


@dataclass
class Site:
    """What runs, and a look at its ledger."""

    stack: Stack
    opened: bootstrap.Installation

    def people(self, prefix, n):
        """Users who have been silent for long enough to be written to at once."""
        users, now = [f"{prefix}-{number}" for number in range(n)], datetime.now(UTC)
        instants = [now - timedelta(days=10, seconds=second) for second in range(12)]
        for user_id in users:
            events = [
                Event(event_id=str(number), user_id=user_id, kind="login", occurred_at=at, received_at=at)
                for number, at in enumerate(instants)
            ]
            self.opened.timelines.merge({user_id: timeline_from_events(events, self.opened.product.catalogue.kinds)})
        self.opened.profiles.write(dict.fromkeys(users, AGREED), changed_us=to_us(now))
        return users

    def contacts(self, users):
        return {user_id: self.opened.ledger.contacts("onboarding", user_id, since_us=0) for user_id in users}

    def kept_of(self, user_id):
        """Whatever the ledger has under the user: contacts, receipts, the timelines they were made from, orders."""
        return self.opened.client.keys(f"stillhere:{{onboarding:{user_tag(user_id)}}}:*")

    def orders(self, users):
        """Decision ids of the delivery orders about these users, each as often as it was ordered."""
        orders = [orjson.loads(order) for order in self.opened.ledger.outbox("onboarding")]
        return Counter(order["decision_id"] for order in orders if order["user_id"] in users)


@pytest.fixture(scope="module")
def site(onboarding, tmp_path_factory):
    folder = tmp_path_factory.mktemp("callers")
    sources = Sources(folder, onboarding)
    sources.bundle(1)
    sources.point(1)
    text = sources.policy_file.read_text().replace("cooldown: 7d", f"cooldown: {COOLDOWN.seconds}s")
    text = text.replace("{channel: email, limit: 1}", f"{{channel: email, limit: {CAP}}}")
    text = text.replace("risk_threshold: 0.60", "risk_threshold: 0.01")  # whatever the small model thinks of them
    sources.policy_file.write_text(text[: text.index("quiet_hours:")])
    environment = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/none.db",
        "STILLHERE_WORKERS": "2",
        "STILLHERE_REDIS_TIMEOUT_S": "20",  # a busy machine is no fault of Redis
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STILLHERE_REDIS_URL", raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        settings = bootstrap.settings_from_environment(home=sources.home.root, product=sources.product_folder)
        with redis_server(settings) as redis, service_and_worker(settings, redis.url, port=free_port()) as stack:
            opened = bootstrap.installation(settings, redis.url)
            yield Site(stack, opened)
            opened.close()


def assert_one_effect_a_key(site, users, answers):
    """Each key has one answer; what it sends is ordered once and reserved once; and no cap is exceeded."""
    decisions = {key: orjson.loads(bodies[0]) for key, bodies in answers.items()}
    assert {key: len(set(bodies)) for key, bodies in answers.items() if len(set(bodies)) > 1} == {}
    assert not any(decision["degraded"] for decision in decisions.values())
    sent = {decision["decision_id"] for decision in decisions.values() if decision["action"] == "send"}
    orders, contacts = site.orders(users), site.contacts(users)
    assert orders == dict.fromkeys(sent, 1)
    assert {one.decision_id for of_user in contacts.values() for one in of_user} == sent
    for of_user in contacts.values():
        assert all(count <= CAP for count in Counter(from_us(one.at_us).date() for one in of_user).values())
        of_message = itertools.groupby(sorted(of_user, key=lambda one: (one.message_id, one.at_us)), key=lambda one: one.message_id)
        for _, group in of_message:
            assert all(from_us(later.at_us) - from_us(earlier.at_us) >= COOLDOWN for earlier, later in pairwise(group))
    return sent


def test_r2_sixty_four_callers_with_retries_and_repeated_keys_get_one_effect_a_key_within_the_caps(site):
    """And R4: 1,000 keys, each sent 1 to 10 times, out of order, some by callers who hang up."""
    users, rng = site.people("r2", 20), random.Random(2)
    requests = [
        Asked(key=f"r2-{key}", user_id=users[key % len(users)], patience_s=rng.choice([30.0] * 9 + [0.01]))
        for key in range(1_000)
        for _ in range(rng.randint(1, 10))
    ]
    rng.shuffle(requests)
    callers = Callers(api_url=site.stack.api_url)
    asyncio.run(callers.ask_all(requests, at_once=CALLERS))
    assert len(callers.answers) == 1_000
    assert callers.lost > 0  # some did hang up
    assert set(callers.refusals) <= {503}
    sent = assert_one_effect_a_key(site, set(users), callers.answers)
    assert len(users) <= len(sent) <= CAP * len(users)
    asyncio.run(conflicts_have_no_effect(site, users, [one.key for one in requests[:100]]))
    assert site.orders(set(users)) == dict.fromkeys(sent, 1)


async def conflicts_have_no_effect(site, users, keys):
    """The same keys with another body."""
    async with httpx.AsyncClient(base_url=site.stack.api_url) as client:
        answers = await asyncio.gather(*(post(client, key, f"somebody-else-than-{users[0]}") for key in keys))
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(409, "idempotency_conflict")}


def test_r4_of_two_bodies_at_once_under_one_key_one_is_decided_and_nothing_of_the_other(site):
    """32 callers at once, half of them with each body, of 50 keys."""
    for key in range(50):
        users = site.people(f"r4-{key}", 2)
        answers = asyncio.run(disagree(site, f"r4-{key}", users))
        decided = {answer.content for answer in answers if answer.status_code == httpx.codes.OK}
        conflicts = {answer.json()["error"]["code"] for answer in answers if answer.status_code != httpx.codes.OK}
        assert Counter(answer.status_code for answer in answers) == {200: DISAGREEING // 2, 409: DISAGREEING // 2}
        assert (len(decided), conflicts) == (1, {"idempotency_conflict"})
        won = orjson.loads(next(iter(decided)))
        assert (won["action"], won["degraded"]) == ("send", [])
        (loser,) = set(users) - {won["user_id"]}
        assert site.orders(set(users)) == {won["decision_id"]: 1}
        assert {user_id: len(found) for user_id, found in site.contacts(users).items()} == {won["user_id"]: 1, loser: 0}
        assert site.kept_of(loser) == []


async def disagree(site, key, users):
    """One request a connection, all sent together."""
    async with httpx.AsyncClient(base_url=site.stack.api_url) as client:
        return await asyncio.gather(*(post(client, key, users[number % 2]) for number in range(DISAGREEING)))


async def kill_under_load(site, callers, users, n_kills):
    """Ask without end, each key twice, while one worker after the other is killed; the process ids that were."""
    killed, numbers, ended, answered = [], itertools.count(), asyncio.Event(), asyncio.Queue()

    async def ask():
        while not ended.is_set():
            number = next(numbers)
            one = Asked(key=f"r5-{number}", user_id=users[number % len(users)])
            await callers.ask_all([one, one], at_once=1)
            answered.put_nowait(one)

    async def kill():
        for _ in range(n_kills):
            for _ in range(100):
                await answered.get()
            killed.append(min(workers_of(site.stack)))
            os.kill(killed[-1], signal.SIGKILL)
            await asyncio.to_thread(until, lambda: len(workers_of(site.stack) - set(killed)) == 2, "a worker in its place")
        ended.set()

    await asyncio.gather(kill(), *(ask() for _ in range(16)))
    return killed


def test_r5_workers_killed_under_load_lose_no_decision_and_send_nothing_twice(site):
    users = site.people("r5", 200)
    callers = Callers(api_url=site.stack.api_url)
    killed = asyncio.run(kill_under_load(site, callers, users, 4))
    assert len(set(killed)) == 4
    assert callers.lost > 0  # requests did break off
    assert set(callers.refusals) <= {503}
    assert assert_one_effect_a_key(site, set(users), callers.answers)
