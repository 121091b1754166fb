"""A receipt in Redis is the same bytes again, whatever lies there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.adapters.receipt_form import receipt_from, stored_form


@given(st.binary(max_size=2_000).map(lambda rest: b"{" + rest))
def test_every_receipt_comes_back_byte_for_byte_from_either_form(receipt):
    assert receipt_from(stored_form(receipt)) == receipt
    assert receipt_from(receipt) == receipt  # as earlier releases stored it


@given(st.binary(max_size=200), st.data())
def test_damage_is_given_to_whoever_reads_it_as_a_receipt_and_raises_nothing_here(rest, data):
    stored = stored_form(b'{"inputs":{"n_events":1}}' * 20)
    cut = data.draw(st.integers(0, len(stored)))
    assert isinstance(receipt_from(stored[:cut] + rest), bytes)


@pytest.mark.parametrize("length", [0, 2**32 - 1], ids=["none", "most"])
def test_a_length_that_cannot_be_is_not_believed(length):
    stored = stored_form(b'{"inputs":{}}')
    damaged = stored[:4] + length.to_bytes(4, "little") + stored[8:]
    assert receipt_from(damaged) in (damaged, b"")
