"""One suite over every ledger: what becomes of contacts when their id is attached to a user, perhaps more than once."""

from __future__ import annotations

from dataclasses import replace

from serving.decision.ids import decision_id
from serving.ports import Commit, Delivery
from tests.serving_world import DAY_US, contact

AT_US = 20_000 * DAY_US


def reserve(ledger, user_id):
    """A contact that counts until its delivery is confirmed, or until it expires."""
    id_ = decision_id(user_id, AT_US, bytes(10))
    made = replace(contact(at_us=AT_US, decision_id=id_), expires_us=AT_US + 90)
    ledger.commit("p", Commit(decision_id=id_, user_id=user_id, receipt=b"{}", timeline_hash="", timeline=b"", contact=made))
    return made


def test_what_is_adopted_counts_for_good_and_stays_where_it_was(ledger):
    made = reserve(ledger, "phone")
    for _ in range(2):
        ledger.adopt("p", "phone", "ada")
        assert ledger.contacts("p", "ada", since_us=0) == (replace(made, expires_us=None),)
    assert ledger.contacts("p", "phone", since_us=0) == (made,)


def test_what_is_adopted_again_after_its_delivery_moves_and_is_one_contact(ledger):
    made = reserve(ledger, "phone")
    ledger.adopt("p", "phone", "ada")
    assert ledger.confirm("p", made.decision_id, delivered_us=AT_US + 60) is Delivery.CONFIRMED
    ledger.adopt("p", "phone", "ada")
    assert ledger.contacts("p", "ada", since_us=0) == (replace(made, at_us=AT_US + 60, expires_us=None),)
