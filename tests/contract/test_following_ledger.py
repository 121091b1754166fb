"""A contact reserved for an id that was attached meanwhile counts for the user; who is not attached costs no question of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from features.adapters.redis_identities import RedisIdentityStore
from features.core.alias import Alias
from features.core.event import from_us
from serving.adapters.redis_ledger import RedisLedger, connect
from serving.decision.ids import decision_id
from serving.decision.values import Permit
from serving.identity import FollowingLedger
from serving.ports import Commit
from tests.serving_world import DAY_US, contact

AT_US = 20_000 * DAY_US
AT = from_us(AT_US)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url, timeout_ms=5_000) as client:
        client.flushdb()
        yield client


@pytest.fixture
def ledger(client: redis.Redis) -> FollowingLedger:
    identities = RedisIdentityStore(client, product="p")
    inner = RedisLedger(client=client, identities=identities)
    return FollowingLedger(inner=inner, contact_book=inner, identities=identities)


def attach(ledger: FollowingLedger, previous_id: str, user_id: str) -> None:
    assert ledger.identities.claim(Alias(previous_id=previous_id, user_id=user_id, occurred_at=AT, received_at=AT)) is None


def sending_to(user_id: str) -> Commit:
    id_ = decision_id(user_id, AT_US, bytes(10))
    made = contact(at_us=AT_US, decision_id=id_)
    return Commit(decision_id=id_, user_id=user_id, receipt=b"{}", timeline_hash="", timeline=b"", contact=made, outbox=b"{}")


def places(ledger: FollowingLedger, user_id: str) -> list[int]:
    return [contact.at_us for contact in ledger.contacts("p", user_id, since_us=0)]


@pytest.mark.parametrize("knows_script", [True, False])
def test_contacts_follow_who_is_attached_by_then(ledger: FollowingLedger, client: redis.Redis, knows_script: bool) -> None:
    ledger.commit("p", sending_to("somebody"))
    attach(ledger, "phone", "laptop")
    attach(ledger, "laptop", "ada")
    if not knows_script:
        client.script_flush()
    ledger.commit_many("p", [sending_to("phone"), sending_to("bob")])
    assert [places(ledger, user_id) for user_id in ("phone", "laptop", "ada", "bob")] == [[AT_US]] * 4


def test_nobody_attached_is_told_with_the_commit(ledger: FollowingLedger, client: redis.Redis) -> None:
    ledger.commit("p", sending_to("somebody"))
    before = client.info("commandstats")["cmdstat_hmget"]["calls"]
    (result,) = ledger.commit_many("p", [sending_to("ada")])
    assert result.is_attached is False
    assert client.info("commandstats")["cmdstat_hmget"]["calls"] == before + 1


def test_a_commit_whose_aliases_cannot_be_read_counts_as_not_answered(ledger: FollowingLedger, client: redis.Redis) -> None:
    client.set("stillhere:{p:alias}:links", "no hash")
    with pytest.raises(Exception, match="aliases could not be read"):
        ledger.commit("p", sending_to("ada"))


def test_windows_without_room_are_those_of_the_ledger_inside(ledger: FollowingLedger) -> None:
    full, roomy = (Permit("rate:r", AT_US, AT_US + DAY_US, limit) for limit in (1, 2))
    assert ledger.commit("p", replace(sending_to("ada"), permits=(full,))).committed
    assert ledger.without_room("p", [full, roomy]) == [full]
