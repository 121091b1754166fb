"""Receipts with a part missing or of another kind: whose, which field, and what was expected; the others are replayed all the same."""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.ports import StoreError
from serving.adapters.receipt_files import receipts_of_file
from serving.cli.policy_command import _as_text as backtest_as_text
from serving.cli.replay_command import NONE, Which, _receipts, as_text
from serving.policy_backtest import backtest_policy
from serving.replay import Replayer, ReplayError
from serving.replay_many import replay_all
from serving.use_case.recorded import ReceiptError, read_receipt
from tests.golden.whole_receipts import FILES, product, read, replayer

MISSING = object()
WRONG = (None, 5, -1.5, "text", "", True, [], [1], {}, {"x": 1}, 10**19)
OPTIONAL = {"rules_version"} | {f"inputs.{name}" for name in ("segments", "ages", "exhausted", "timing", "timing_shown")}
"""Not written by every release."""
COMPARED = {"output.ask_again_at", "output.cause", "output.degraded", "output.decision_id", "output.experiments", "output.risk"}
COMPARED |= {f"output.{name}" for name in ("segments", "severity", "threshold", "verdicts")}
"""Of the output it is said that they differ."""


@pytest.fixture(scope="module")
def whole():
    return read(next(file for file in FILES if file.stem == "silence_brings_an_email_about_it"))


@pytest.fixture(scope="module")
def replays(whole):
    return replayer(whole, None, product())


def places(content):
    """Every key of the first and second level."""
    for key, value in content.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, below) for below in value)


def with_part(content, place, value):
    changed = copy.deepcopy(content)
    holder = changed
    for step in place[:-1]:
        holder = holder[step]
    if value is MISSING:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return orjson.dumps(changed)


def refusal(replays, receipt):
    """The words that a damaged receipt is refused with; None where it is replayed."""
    try:
        replays.replay(receipt)
    except ReplayError as exc:
        return str(exc)
    return None


def test_a_missing_part_is_named_with_the_decision_whose_receipt_lacks_it(whole, replays):
    content = whole.content
    for place in places(content):
        path, said = ".".join(place), refusal(replays, with_part(content, place, MISSING))
        if path in OPTIONAL | COMPARED:
            assert said is None
        elif path.startswith("inputs.features."):
            assert f"receipt {content['decision_id']}: inputs.features" in said
        else:
            assert said.startswith(f"receipt {content['decision_id']}: {path}: found nothing, expected this key"), path
            assert said.endswith(f"take it anew from GET /v1/decisions/{content['decision_id']}")


def test_whatever_stands_in_a_part_is_replayed_or_refused_by_its_path(whole, replays):
    """Nothing but `ReplayError` leaves a replay, and what it says holds no word of Python's."""
    content = whole.content
    refused = {}
    for place in places(content):
        for wrong in WRONG:
            said = refusal(replays, with_part(content, place, wrong))
            if said is not None:
                refused.setdefault(".".join(place), []).append(said)
                assert f"{content['decision_id']}: {'.'.join(place[:1])}" in said
                assert not re.search(r"Error|NoneType|'\w+' object|\bdict\b|\bint\b", said), said
    assert {"inputs", "timeline", "versions", "output", "inputs.as_of_us", "inputs.contacts", "inputs.profile"} <= refused.keys()
    assert {"timeline.hash", "versions.policy", "versions.features", "output.action", "output.reason"} <= refused.keys()


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("inputs", "as_of_us"), None, "inputs.as_of_us: found null, expected a whole number"),
        (("inputs", "as_of_us"), "now", 'inputs.as_of_us: found "now", expected a whole number'),
        (("inputs", "risk"), 1.5, "inputs.risk: found 1.5, expected a number <= 1.0"),
        (("inputs", "degraded"), ["tired"], 'inputs.degraded[0]: found "tired", expected model_missing, '),
        (("inputs", "contacts"), [{"channel": "email"}], "inputs.contacts[0].decision_id: found nothing, expected this key"),
        (("timeline",), [], "timeline: found a list of 0, expected a mapping of keys to values"),
        (("schema_version",), 2, "schema_version: found 2, expected 1; a newer release wrote it; replay it with that one"),
    ],
)
def test_what_was_found_and_what_was_expected_is_said(whole, replays, place, value, said):
    assert f"receipt {whole.content['decision_id']}: {said}" in refusal(replays, with_part(whole.content, place, value))


def test_of_many_faults_the_first_are_told(whole):
    with pytest.raises(
        ReceiptError, match=r"inputs.user_id: found nothing, expected this key; inputs.as_of_us: .* and 8 more; take it anew"
    ):
        read_receipt(with_part(whole.content, ("inputs",), {"decision_id": "d1"}))


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"null", b"[]", b"{}", b'{"inputs": 3}', b"5", b'"text"', b"[" * 2_000])
def test_what_is_no_receipt_at_all_says_what_it_is(damage):
    with pytest.raises(ReceiptError, match=r"^this is no receipt: .*found .*; take it anew from GET /v1/decisions/<id>$"):
        read_receipt(damage)


def test_damaged_receipts_cost_no_other_its_answer_and_are_named_by_their_number(world, receipts):
    content = orjson.loads(receipts[0])
    file = [receipts[0], with_part(content, ("timeline",), MISSING), receipts[1], with_part(content, ("versions", "model"), 3), b"?"]
    found = replay_all([*file, receipts[2]], lambda _: Replayer(archive=world.archive))
    assert (found.receipts, found.unreadable) == (3, 3)
    told = as_text(found)
    assert f"could not be replayed: number 2: receipt {content['decision_id']}: timeline: found nothing, expected this key" in told
    assert "number 4: receipt " in told
    assert "number 5: this is no receipt: found no JSON" in told


def test_a_backtest_counts_nothing_of_a_damaged_receipt_and_says_which_it_is(receipts, shipped_policy):
    content = orjson.loads(receipts[0])
    found = backtest_policy([with_part(content, ("output", "arms"), MISSING), *receipts], shipped_policy)
    assert (found.decisions, found.unreadable, found.users) == (3, 1, 3)
    assert f"could not be read: number 1: receipt {content['decision_id']}: output.arms: found nothing" in backtest_as_text(found, None)


def test_attributes_of_any_kind_are_replayed_or_refused(world, receipts):
    """What a profile holds is the product's, and is checked where it comes in, not here."""
    content = orjson.loads(receipts[0])
    for name in content["inputs"]["profile"]:
        for wrong in (MISSING, *WRONG):
            damaged = with_part(content["inputs"], ("profile", name), wrong)
            receipt = with_part(content, ("inputs",), orjson.loads(damaged))
            refusal(Replayer(archive=world.archive), receipt)


class Place:
    """Of an installation, what the filter by time asks for: nothing."""


@pytest.mark.parametrize("damage", [b"?", b"{}", b'{"output": {"as_of": "noon"}}', b'{"output": {"as_of": 5}}', b"[1]"])
def test_a_line_that_says_of_no_time_is_left_for_the_replay_to_name(tmp_path, receipts, damage):
    file = tmp_path / "receipts.jsonl"
    file.write_bytes(b"\n".join([receipts[0], damage, receipts[1]]))
    late = Which(file=file, since=datetime(2099, 1, 1, tzinfo=UTC))
    assert [line.strip() for line in _receipts(Place(), late)] == [damage]
    assert len(list(_receipts(Place(), Which(file=file, since=datetime(2020, 1, 1))))) == 3  # noqa: DTZ001 - as typed
    assert not NONE.are_named


def test_thousands_of_blank_lines_end_no_file(tmp_path, receipts):
    file = tmp_path / "receipts.jsonl"
    file.write_bytes(receipts[0] + b"\n" * 5_000 + receipts[1])
    assert [line.strip() for batch in receipts_of_file(file) for line in batch] == receipts[:2]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_a_column_of_whatever_kind_is_read_and_a_hole_in_it_is_no_receipt(tmp_path, receipts, kind):
    file = tmp_path / "receipts.parquet"
    pq.write_table(pa.table({"receipt": pa.array([receipts[0].decode(), None]).cast(kind)}), file)
    assert list(receipts_of_file(file)) == [[receipts[0], b""]]


def test_numbers_in_the_column_are_no_receipts_and_no_column_is_said(tmp_path, world):
    numbers, other = tmp_path / "numbers.parquet", tmp_path / "other.parquet"
    pq.write_table(pa.table({"receipt": [7]}), numbers)
    pq.write_table(pa.table({"a": [1], "b": [2]}), other)
    found = replay_all((one for batch in receipts_of_file(numbers) for one in batch), lambda _: Replayer(archive=world.archive))
    assert found.faults == [
        "number 1: this is no receipt: found 7, expected a mapping of keys to values; take it anew from GET /v1/decisions/<id>"
    ]
    with pytest.raises(StoreError, match="found columns a, b, expected exported Parquet with a column receipt"):
        list(receipts_of_file(other))
