from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from features.adapters.memory_identities import MemoryIdentityStore
from features.ports import StoreError
from serving.adapters.receipt_export import ReceiptExporter, exported_ids
from serving.adapters.receipt_files import exported_scores
from serving.adapters.receipt_form import receipt_from
from serving.adapters.redis_erasure import LedgerOfUsers
from serving.adapters.redis_ledger import RedisLedger, connect
from serving.adapters.shadow import Shadow
from serving.use_case import Followed
from tests.certain import certain_policy
from tests.serving_world import FixedScorer, World


@pytest.fixture
def client(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        yield client


@pytest.fixture
def world(client, onboarding):
    return World(onboarding, certain_policy(onboarding), scorer=FixedScorer(said_risk=0.9), ledger=RedisLedger(client=client))


@pytest.fixture
def exporter(client, tmp_path):
    return ReceiptExporter(client=client, product="onboarding", receipts_dir=tmp_path)


def rows(folder):
    return [row for part in sorted(folder.glob("day=*/part-*.parquet")) for row in pq.ParquetFile(part).read().to_pylist()]


def test_every_receipt_is_exported_once_whole_and_by_day(world, exporter, tmp_path):
    person = world.person()
    world.happens(person, "login", times=12)
    first = world.answer()
    world.later(days=1)
    second = world.answer()
    assert exporter.export() == 2
    assert exporter.export() == 0
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["day=2026-03-02", "day=2026-03-03"]
    assert {row["receipt"].encode() for row in rows(tmp_path)} == {first.receipt, second.receipt}


def test_the_columns_say_what_the_receipt_says(world, exporter, tmp_path):
    person = world.person()
    world.happens(person, "login", times=12, ago=timedelta(days=10))
    output = orjson.loads(world.answer().output)
    exporter.export()
    (row,) = rows(tmp_path)
    assert (row["decision_id"], row["action"], row["risk"], row["model"]) == (output["decision_id"], "send", 0.9, "onboarding/1")
    assert (row["message_id"], row["channel"], row["code"]) == (output["message"]["id"], "email", output["reason"]["code"])
    assert row["as_of"].isoformat() == "2026-03-02T12:00:00+00:00"


@dataclass
class Challenger:
    """A source whose model the test changes."""

    scorer: FixedScorer | None

    def identity(self):
        return "" if self.scorer is None else self.scorer.version

    def load(self):
        return self.scorer


class Broken(FixedScorer):
    def risk(self, vectors, profiles):
        raise ZeroDivisionError("no model at all")


@pytest.fixture
def challenger():
    return Challenger(FixedScorer(version="onboarding/2", said_risk=0.4))


@pytest.fixture
def shadowed(world, client, tmp_path, challenger):
    scorer = Followed.begin("challenger", challenger, lambda: None)
    shadow = Shadow(scorer=scorer, program=world.program)
    return ReceiptExporter(client=client, product="onboarding", receipts_dir=tmp_path, shadow=shadow)


def decided(world, user_id, *, times=12):
    world.person(user_id)
    world.happens(user_id, "login", times=times)
    return world.answer(user_id)


def test_the_challenger_of_the_moment_scores_what_was_decided_and_changes_no_receipt(world, shadowed, challenger, tmp_path):
    answers = [decided(world, "ada")]
    shadowed.export()
    challenger.scorer = FixedScorer(version="onboarding/3", said_risk=0.5)
    answers.append(decided(world, "ben"))
    shadowed.export()
    challenger.scorer = None
    answers.append(decided(world, "cyd"))
    shadowed.export()
    said = {row["user_id"]: (row["model"], row["risk"], row["shadow_model"], row["shadow_risk"]) for row in rows(tmp_path)}
    assert said == {
        "ada": ("onboarding/1", 0.9, "onboarding/2", 0.4),
        "ben": ("onboarding/1", 0.9, "onboarding/3", 0.5),
        "cyd": ("onboarding/1", 0.9, None, None),
    }
    assert {row["receipt"].encode() for row in rows(tmp_path)} == {answer.receipt for answer in answers}
    assert sorted(exported_scores(tmp_path)["shadow_model"]) == ["onboarding/2", "onboarding/3"]


def test_the_challenger_sees_the_very_numbers_that_the_champion_saw(world, shadowed, challenger):
    seen = []

    class Curious(FixedScorer):
        def risk(self, vectors, profiles):
            seen.append((vectors.copy(), list(profiles)))
            return super().risk(vectors, profiles)

    world.scorer = Curious()
    world.service = world.service_with(world.service.policy)
    challenger.scorer = Curious(version="onboarding/3")
    decided(world, "ada")
    shadowed.export()
    (champions, profiles), (challengers, same_profiles) = seen
    np.testing.assert_array_equal(champions, challengers)
    assert profiles == same_profiles


def test_a_challenger_that_fails_costs_nobody_a_receipt(world, shadowed, challenger, tmp_path):
    challenger.scorer = Broken(version="onboarding/3")
    decided(world, "ada")
    assert shadowed.export() == 1
    assert [(row["risk"], row["shadow_model"], row["shadow_risk"]) for row in rows(tmp_path)] == [(0.9, None, None)]


def test_what_the_champion_could_not_score_the_challenger_does_not_score_either(world, shadowed, tmp_path):
    world.scorer = None
    world.service = world.service_with(world.service.policy)
    decided(world, "ada")
    shadowed.export()
    assert [row["shadow_risk"] for row in rows(tmp_path)] == [None]


def test_files_from_before_challengers_are_read_as_having_none(world, exporter, shadowed, tmp_path):
    decided(world, "ada")
    exporter.export()
    (part,) = tmp_path.glob("day=*/part-*.parquet")
    table = pq.read_table(part, partitioning=None)
    pq.write_table(table.drop_columns(["shadow_model", "shadow_risk"]), part)
    decided(world, "ben")
    shadowed.export()
    assert exported_scores(tmp_path)["shadow_risk"].tolist() == [0.4]


class AwayOnce(MemoryIdentityStore):
    """Cannot say who is erased when first asked."""

    asked = 0

    def standing(self, user_ids):
        self.asked += 1
        if self.asked == 1:
            raise StoreError("away")
        return super().standing(user_ids)


def test_what_an_erasure_overtook_is_taken_back_even_by_the_export_after_one_that_failed(world, client, tmp_path):
    world.answer("ada")
    world.answer("ben")
    identities = AwayOnce()
    exporter = ReceiptExporter(client=client, product="onboarding", receipts_dir=tmp_path, identities=identities)
    with pytest.raises(StoreError):
        exporter.export()
    assert {row["user_id"] for row in rows(tmp_path)} == {"ada", "ben"}
    LedgerOfUsers(client=client, product="onboarding").erase(identities.mark_erased("ada"))
    exporter.export()
    assert {row["user_id"] for row in rows(tmp_path)} == {"ben"}


def test_another_exporter_goes_on_where_the_last_one_stopped(world, exporter, client, tmp_path):
    world.answer("ada")
    exporter.export()
    world.answer("ben")
    heir = ReceiptExporter(client=client, product="onboarding", receipts_dir=tmp_path)
    assert heir.export() == 1
    assert len(exported_ids(tmp_path)) == len(rows(tmp_path)) == 2


def test_a_file_that_fails_after_another_was_written_makes_no_duplicates(world, exporter, tmp_path):
    blocked = tmp_path / "day=2026-03-03"
    blocked.write_text("a file where the folder of the second day should be")
    world.answer("ada")
    world.later(days=1)
    world.answer("ada")
    with pytest.raises(StoreError, match="check space and permissions"):
        exporter.export()
    world.later(days=-1)
    world.answer("ben")  # one more of the first day, so that its next file is another
    blocked.unlink()
    exporter.export()
    ids = [row["decision_id"] for row in rows(tmp_path)]
    assert len(ids) == len(set(ids)) == 3


def with_output(**changes):
    def damaged(stored):
        content = orjson.loads(receipt_from(stored))
        content["output"] |= changes
        return orjson.dumps(content)

    return damaged


DAMAGE = {
    "a number for a text": with_output(trigger=7),
    "a text for a number": with_output(risk="high"),
    "a truth for a number": with_output(threshold=True),
    "no name of its own": with_output(decision_id=None),
    "cut off": lambda stored: stored[: len(stored) // 2],
    "no JSON": lambda _: b"{receipt",
    "another JSON": lambda _: b'{"output":{"decision_id":null}}',
    "no mapping": lambda _: b"7",
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_receipt_is_named_once_and_costs_no_other_its_place(damage, world, exporter, client, tmp_path, caplog):
    world.answer("ada")
    (key,) = client.keys("*receipt*")
    client.set(key, damage(client.get(key)))
    world.answer("ben")
    exporter.export()
    assert [row["user_id"] for row in rows(tmp_path)] == ["ben"]
    world.answer("cleo")
    exporter.export()
    assert sorted(row["user_id"] for row in rows(tmp_path)) == ["ben", "cleo"]
    (warning,) = caplog.messages
    assert warning.startswith(f"{key.decode()} holds no receipt (")
    assert warning.endswith("so it is in no file; delete the key, or restore it from a copy of Redis")


def test_another_products_receipts_are_left_alone(world, client, tmp_path):
    world.answer("ada")
    assert ReceiptExporter(client=client, product="onboard*", receipts_dir=tmp_path).export() == 0


def test_a_redis_that_is_away_is_a_named_error(tmp_path):
    with connect("redis://127.0.0.1:1/0") as client, pytest.raises(StoreError, match="start Redis"):
        ReceiptExporter(client=client, product="p", receipts_dir=tmp_path).export()
