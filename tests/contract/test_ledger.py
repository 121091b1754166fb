"""One suite over every ledger: what `serving.decision.caps` says of a list of contacts, each store must say atomically."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.adapters.memory_ledger import MemoryLedger
from serving.adapters.redis_ledger import RedisLedger, connect
from serving.decision.caps import first_refusal
from serving.decision.policy import MessageClass
from serving.decision.values import CapWindow
from serving.ports import Commit, Delivery, LedgerError
from tests.contract.ledger_commits import AT_US, commit, window
from tests.serving_world import DAY_US, HOUR_US

_products = itertools.count(1)


def rolling(limit, at_us, *, span_us=DAY_US):
    return window(limit, since_us=at_us - span_us + 1, until_us=at_us + span_us, span_us=span_us, name="cap:rolling")


def test_a_commit_is_found_again_whole(ledger):
    made = commit()
    result = ledger.commit("onboarding", made)
    assert (result.committed, result.refused_by, result.receipt) == (True, None, made.receipt)
    assert ledger.receipt("onboarding", made.decision_id) == made.receipt
    assert ledger.timeline("onboarding", "ada", made.timeline_hash) == made.timeline
    assert ledger.contacts("onboarding", "ada", since_us=0) == (made.contact,)
    assert ledger.outbox("onboarding") == [made.outbox]


def test_doing_nothing_leaves_a_receipt_and_no_contact(ledger):
    made = commit(sends=False, timeline=b"")
    assert ledger.commit("onboarding", made).committed
    assert ledger.receipt("onboarding", made.decision_id) == made.receipt
    assert ledger.timeline("onboarding", "ada", made.timeline_hash) == b""
    assert (ledger.contacts("onboarding", "ada", since_us=0), ledger.outbox("onboarding")) == ((), [])


def test_the_same_decision_twice_is_once_and_the_first_receipt_stands(ledger):
    first = commit(caps=[window()])
    second = Commit(
        decision_id=first.decision_id, user_id="ada", receipt=b"other", timeline_hash="0" * 16, timeline=b"x", contact=first.contact
    )
    ledger.commit("onboarding", first)
    result = ledger.commit("onboarding", second)
    assert (result.committed, result.receipt) == (True, first.receipt)
    assert len(ledger.contacts("onboarding", "ada", since_us=0)) == len(ledger.outbox("onboarding")) == 1
    assert ledger.timeline("onboarding", "ada", "0" * 16) is None


def test_a_full_window_refuses_and_nothing_is_written(ledger):
    ledger.commit("onboarding", commit())
    refused = commit(caps=[window(2, name="cap:roomy"), window(1, name="cap:full")])
    result = ledger.commit("onboarding", refused)
    assert (result.committed, result.refused_by) == (False, "cap:full")
    assert ledger.receipt("onboarding", refused.decision_id) is None
    assert len(ledger.contacts("onboarding", "ada", since_us=0)) == len(ledger.outbox("onboarding")) == 1


@pytest.mark.parametrize(
    ("allowed", "limits"),
    [
        (True, window(channel="in_app")),
        (False, window(channel="email")),
        (True, window(message_id="secure_reset")),
        (False, window(message_id="checking_in")),
        (True, window(channel="email", message_id="secure_reset")),
        (False, window(since_us=AT_US, until_us=AT_US + 1)),
        (True, window(since_us=AT_US + 1)),
        (True, window(until_us=AT_US)),
        (False, window(0, since_us=AT_US + 1)),
    ],
)
def test_a_window_counts_its_channel_message_and_time_start_included_end_excluded(ledger, allowed, limits):
    ledger.commit("onboarding", commit())
    assert ledger.commit("onboarding", commit(caps=[limits])).committed is allowed


def test_a_rolling_window_sees_what_is_planned_after_it_too(ledger):
    """Two a day: noon and ten at night leave no room at four in the afternoon, nor the next noon but one microsecond."""
    for hours in (0, 10):
        ledger.commit("onboarding", commit(at_us=AT_US + hours * HOUR_US))
    for at_us, has_room in ((AT_US + 4 * HOUR_US, False), (AT_US - 1, False), (AT_US + DAY_US - 1, False), (AT_US + DAY_US, True)):
        assert ledger.commit("onboarding", commit(at_us=at_us, caps=[rolling(2, at_us)])).committed is has_room


def test_a_class_has_a_window_of_its_own(ledger):
    ledger.commit("onboarding", commit())
    assert not ledger.commit("onboarding", commit(caps=[window(message_class=MessageClass.OUTREACH)])).committed
    assert ledger.commit("onboarding", commit(channel="in_app", caps=[window(message_class=MessageClass.ASSIST)])).committed


def test_a_reservation_counts_until_it_expires_and_not_at_that_instant(ledger):
    ledger.commit("onboarding", commit(expires_us=AT_US + 90))
    assert not ledger.commit("onboarding", commit(caps=[window()], as_of_us=AT_US + 89)).committed
    assert ledger.commit("onboarding", commit(caps=[window()], as_of_us=AT_US + 90)).committed


def test_what_was_delivered_counts_for_good_from_the_moment_it_was(ledger):
    made = commit(expires_us=AT_US + 90)
    ledger.commit("onboarding", made)
    assert ledger.confirm("onboarding", made.decision_id, delivered_us=AT_US + 7) is Delivery.CONFIRMED
    assert ledger.confirm("onboarding", made.decision_id, delivered_us=AT_US + 8) is Delivery.KNOWN
    assert ledger.release("onboarding", made.decision_id) is Delivery.KNOWN
    (kept,) = ledger.contacts("onboarding", "ada", since_us=0)
    assert (kept.at_us, kept.expires_us, kept.decision_id) == (AT_US + 7, None, made.decision_id)
    assert not ledger.commit("onboarding", commit(caps=[window()], as_of_us=AT_US + 10**12)).committed


def test_news_of_a_delivery_takes_no_order_out_of_the_outbox(ledger):
    """Senders do that, or time (docs/operations.md)."""
    delivered, failed = commit(expires_us=AT_US + 90), commit(expires_us=AT_US + 90)
    for made in (delivered, failed):
        ledger.commit("onboarding", made)
    ledger.confirm("onboarding", delivered.decision_id, delivered_us=AT_US + 7)
    ledger.release("onboarding", failed.decision_id)
    assert ledger.outbox("onboarding") == [delivered.outbox, failed.outbox]


def test_what_was_not_delivered_frees_its_place_and_a_late_receipt_takes_it_back(ledger):
    made = commit(expires_us=AT_US + 90)
    ledger.commit("onboarding", made)
    assert ledger.release("onboarding", made.decision_id) is Delivery.RELEASED
    assert ledger.release("onboarding", made.decision_id) is Delivery.KNOWN
    assert ledger.contacts("onboarding", "ada", since_us=0) == ()
    assert ledger.confirm("onboarding", made.decision_id, delivered_us=AT_US + 7) is Delivery.CONFIRMED
    assert [one.at_us for one in ledger.contacts("onboarding", "ada", since_us=0)] == [AT_US + 7]


@pytest.mark.parametrize("id_", ["", "nonsense", "dffffffffffffffff-00000000000000000000000000"])
def test_news_of_an_unknown_contact_changes_nothing(ledger, id_):
    ledger.commit("onboarding", made := commit())
    assert ledger.confirm("onboarding", id_, delivered_us=AT_US) is Delivery.UNKNOWN
    assert ledger.release("onboarding", id_) is Delivery.UNKNOWN
    assert ledger.contacts("onboarding", "ada", since_us=0) == (made.contact,)


def test_users_and_products_are_apart(ledger):
    for product, user_id in (("onboarding", "ada"), ("onboarding", "bob"), ("mooc", "ada")):
        assert ledger.commit(product, commit(user_id, caps=[window()])).committed
    assert len(ledger.outbox("onboarding")) == 2
    assert len(ledger.outbox("mooc")) == 1


def test_contacts_come_oldest_first_from_the_asked_instant(ledger):
    for offset in (3, 1, 2):
        ledger.commit("onboarding", commit(at_us=AT_US + offset))
    assert [c.at_us - AT_US for c in ledger.contacts("onboarding", "ada", since_us=AT_US + 2)] == [2, 3]


def test_contacts_older_than_ninety_days_are_let_go(ledger):
    ledger.commit("onboarding", commit(at_us=AT_US - 91 * DAY_US))
    ledger.commit("onboarding", commit(at_us=AT_US - 90 * DAY_US))
    ledger.commit("onboarding", commit(at_us=AT_US))
    assert [c.at_us for c in ledger.contacts("onboarding", "ada", since_us=0)] == [AT_US - 90 * DAY_US, AT_US]


@pytest.mark.parametrize("id_", ["", "nonsense", "dffffffffffffffff-00000000000000000000000000"])
def test_an_unknown_id_has_no_receipt(ledger, id_):
    assert ledger.receipt("onboarding", id_) is None
    assert ledger.timeline("onboarding", "ada", "0" * 16) is None


ATTEMPTS = st.lists(
    st.tuples(
        st.sampled_from(["email", "in_app"]),
        st.sampled_from(["checking_in", "secure_reset"]),
        st.integers(-3, 3),  # days
        st.lists(
            st.tuples(
                st.sampled_from([None, "email", "in_app"]),
                st.sampled_from([None, "checking_in", "secure_reset"]),
                st.integers(-3, 3),
                st.integers(0, 3),
                st.integers(0, 2),
                st.sampled_from([None, *MessageClass]),
                st.sampled_from([0, 0, 1, 2]),  # days of a span
            ),
            max_size=3,
        ),
        st.sampled_from([None, None, -1, 1]),  # days until the reservation expires
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(attempts=ATTEMPTS)
def test_all_ledgers_and_the_pure_rule_agree_on_every_sequence(attempts, redis_server):
    product = f"trial_{next(_products)}"
    contacts = []
    with connect(redis_server.url, timeout_ms=5_000) as client:
        memory, in_redis = MemoryLedger(), RedisLedger(client=client)
        for channel, message_id, day, windows, expires in attempts:
            caps = [
                CapWindow(
                    name=f"w{i}",
                    channel=c,
                    message_id=m,
                    since_us=AT_US + s * DAY_US,
                    until_us=AT_US + (s + d) * DAY_US,
                    limit=limit,
                    message_class=class_,
                    span_us=span * DAY_US,
                )
                for i, (c, m, s, d, limit, class_, span) in enumerate(windows)
            ]
            expires_us = None if expires is None else AT_US + expires * DAY_US
            made = commit(channel=channel, message_id=message_id, at_us=AT_US + day * DAY_US, caps=caps, expires_us=expires_us)
            refusal = first_refusal([one for one in contacts if one.counts_at(AT_US)], caps)
            expected = (refusal is None, None if refusal is None else refusal.name)
            results = [ledger.commit(product, made) for ledger in (memory, in_redis)]
            assert [(result.committed, result.refused_by) for result in results] == [expected, expected]
            contacts += [made.contact] if refusal is None else []
        seen = [ledger.contacts(product, "ada", since_us=0) for ledger in (memory, in_redis)]
        assert seen[0] == seen[1]
        assert sorted(seen[0], key=repr) == sorted(contacts, key=repr)


@pytest.mark.parametrize("k", [1, 3])
def test_sixteen_threads_together_never_get_more_than_the_cap(ledger, k):
    barrier = threading.Barrier(16)

    def attempts(number):
        barrier.wait()
        return sum(ledger.commit("onboarding", commit(caps=[window(k)])).committed for _ in range(20))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempts, range(16))) == k
    assert len(ledger.contacts("onboarding", "ada", since_us=0)) == len(ledger.outbox("onboarding")) == k


def test_a_redis_that_is_not_there_is_a_ledger_error_at_once(calls_to_a_dead_ledger):
    for call in calls_to_a_dead_ledger:
        started = time.monotonic()
        with pytest.raises(LedgerError, match="start Redis"):
            call()
        assert time.monotonic() - started < 2.0


@pytest.fixture(params=["refused", "silent"])
def calls_to_a_dead_ledger(request):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "silent":
            listener.listen(8)  # accepts, never answers
        with connect(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", timeout_ms=50) as client:
            ledger = RedisLedger(client=client)
            yield [
                lambda: ledger.contacts("onboarding", "ada", since_us=0),
                lambda: ledger.commit("onboarding", commit()),
                lambda: ledger.commit("onboarding", commit(sends=False)),
                lambda: ledger.receipt("onboarding", commit().decision_id),
                lambda: ledger.timeline("onboarding", "ada", "0" * 16),
                lambda: ledger.outbox("onboarding"),
            ]


def test_redis_keeps_all_of_a_users_ledger_in_one_cluster_slot_and_forgets_in_time(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        ledger = RedisLedger(client=client, keep_receipts=timedelta(days=30), keep_contacts=timedelta(days=90))
        ledger.commit("onboarding", commit())
        keys = {key.decode() for key in client.keys("*")}
        tags = {key[key.index("{") : key.index("}") + 1] for key in keys if "{" in key}
        assert len(tags) == 1
        assert keys - {key for key in keys if "{" in key} == {"stillhere:onboarding:outbox_users"}
        assert not any("ada" in key for key in keys)
        ttl_days = {key.rpartition("}:")[2].partition(":")[0]: round(client.pttl(key) / 86_400_000) for key in keys if "{" in key}
        assert ttl_days == {"contacts": 90, "receipt": 30, "timeline": 30, "outbox": 90}


def test_a_timeline_seen_again_is_kept_for_longer(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        ledger = RedisLedger(client=client)
        first, second = commit(sends=False), commit(sends=False)
        ledger.commit("onboarding", first)
        key = next(key for key in client.keys("*timeline*"))
        client.pexpire(key, 1000)
        ledger.commit("onboarding", second)
        assert client.pttl(key) > 86_400_000


def test_a_server_that_restarted_is_asked_again_on_a_new_connection(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client, redis.Redis.from_url(redis_url) as admin:
        ledger = RedisLedger(client=client)
        ledger.commit("onboarding", commit())
        admin.client_kill_filter(skipme=True)  # closes every other connection, as a restart does
        admin.script_flush()
        assert ledger.commit("onboarding", commit()).committed


def test_receipts_lie_compressed_in_redis_and_those_of_earlier_releases_are_read_and_answered_as_before(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        ledger = RedisLedger(client=client)
        made = commit(receipt=b'{"verdicts":[' + b'{"code":"ok","passed":true},' * 300 + b"0]}")
        ledger.commit("onboarding", made)
        key = next(key for key in client.keys("*receipt*"))
        assert client.strlen(key) < len(made.receipt) / 3
        client.set(key, made.receipt)  # as it was stored before
        assert ledger.receipt("onboarding", made.decision_id) == made.receipt
        assert ledger.commit("onboarding", made).receipt == made.receipt
