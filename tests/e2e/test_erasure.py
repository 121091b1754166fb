"""After an erasure no key, no value and no file holds any id of the person, and nothing that arrives later brings one back."""

from __future__ import annotations

import gzip
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.adapters.compaction import compact
from features.adapters.embedded_redis import EmbeddedRedis
from features.adapters.feast_history import history_of
from features.backfill.columns import read_columns
from features.backfill.snapshots import build_snapshots
from features.ports import StoreError
from serving import bootstrap
from serving.adapters.event_stream import RedisEventStream
from tests.installed_world import InstalledWorld

IDS = ("ada-lovelace-1815", "phone-7f3a91", "tablet-55c0de")
OTHER = "charles-babbage"

NOWHERE = {user_id: [] for user_id in IDS}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def world(tmp_path):
    """An installation whose Redis keeps its data in the state directory, as the shipped one does."""
    with EmbeddedRedis(tmp_path / "home" / "redis") as server:
        world = InstalledWorld(tmp_path / "home", server.url)
        yield world
        world.close()


def lived(world):
    """A life that leaves something in every place that there is."""
    ada, phone, tablet = IDS
    world.send(*(world.event(user_id, "login") for user_id in (*IDS, OTHER)))
    compact(world.home.raw_dir("onboarding"), today=world.now.date() + timedelta(days=1))  # later events make parts beside
    for user_id in (phone, ada, OTHER):
        world.send(world.identify(user_id, device="web"), *(world.event(user_id, "login_failed") for _ in range(3)))
        assert world.decide(user_id)["action"] == "send"
    world.send(world.alias(tablet, phone), world.identify(ada, anonymous_id=phone), world.event(tablet, "login"))
    world.stream_body = [world.alias(phone, OTHER), {"type": "event", "user_id": ada}, "unreadable " + tablet]
    bodies = [orjson.dumps({"received_us": world.now_us, "item": item}) for item in world.stream_body]
    stream = world.opened.stream
    stream.publish([(ada, body) for body in bodies])
    world.work()  # all three are dead letters now
    stream.publish([(ada, orjson.dumps({"received_us": world.now_us, "item": world.event(ada, "login")}))])  # this one waits
    taker = RedisEventStream(world.opened.client, product="onboarding", partitions=world.opened.settings.partitions, consumer="slow")
    assert len(taker.read(limit=10, block_ms=1)) == 1  # in the hands of another worker
    world.opened.exporter.export()
    files_of_every_kind(world)
    left_by_the_killed(world)


def left_by_the_killed(world):
    """What a worker, an export and a compaction leave when they are killed while they write."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    product_dir = world.home.product_dir("onboarding")
    for part in [*product_dir.rglob("part-*.parquet")]:
        part.with_name(f".{part.name}.{ended.pid}").write_bytes(part.read_bytes() + IDS[0].encode())
    (product_dir / "raw" / ".compaction.spill").mkdir()
    (product_dir / "raw" / ".compaction.spill" / "duckdb_temp.block").write_text(IDS[1])


def files_of_every_kind(world):
    name, home = world.opened.product.name, world.home
    spine = pa.table({"user_id": [IDS[0], OTHER], "as_of": pa.array([world.now] * 2, pa.timestamp("us", tz="UTC"))})
    home.feast_dir(name).mkdir(parents=True, exist_ok=True)
    pq.write_table(build_snapshots(home.raw_dir(name), world.opened.product, spine), home.snapshots_file(name))
    history_of(world.opened.profiles.inner._store).refresh()
    labels = home.labels_file(name, "truth")
    labels.parent.mkdir(parents=True)
    pq.write_table(pa.table({"user_id": [IDS[1], OTHER], "dropped_out": [True, False]}), labels)
    for folder, file in ((home.rejected_dir(name), "rows.csv"), (home.incoming_dir(name), "events.jsonl")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("".join(f'1,bad_value,{user_id},"x"\n' for user_id in (*IDS, OTHER)))
        (folder / f"{file}.gz").write_bytes(gzip.compress(f'{{"user_id":"{IDS[0]}"}}\n{{"user_id":"{OTHER}"}}\n'.encode()))


def holders(world, user_id):
    """Names of the keys and files that hold an id, in their name or in their content."""
    needle = user_id.encode()
    keys = [key for key in world.opened.client.keys("*") if needle in key or needle in value_of(world.opened.client, key)]
    files = [path for path in world.home.root.rglob("*") if path.is_file() and (needle in path.read_bytes() or needle in unpacked(path))]
    return sorted({key.decode("utf-8", "replace") for key in keys} | {str(path.relative_to(world.home.root)) for path in files})


def value_of(client, key: bytes) -> bytes:
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": lambda key: (client.xrange(key), client.xpending(key, "timelines") if key[-4:] != b"dead" else None),
    }
    return repr(read[client.type(key)](key)).encode()


def unpacked(path: Path) -> bytes:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    return repr(pq.ParquetFile(path).read().to_pylist()).encode() if path.suffix == ".parquet" else b""


def test_nothing_of_a_person_is_left_anywhere_and_others_keep_everything(world):
    lived(world)
    places = {user_id: holders(world, user_id) for user_id in (*IDS, OTHER)}
    for part in (
        "raw/",
        "receipts/",
        "aliases/",
        "profile_changes/",
        "profiles.parquet",
        "snapshots.parquet",
        "labels/",
        "rejected/",
        "incoming/",
    ):
        assert any(part in place for user_id in IDS for place in places[user_id]), part
    for part in (":receipt:", ":links", ":held:", ":dead", ":events:", ":outbox", "appendonly"):
        assert any(part in place for user_id in IDS for place in places[user_id]), part

    assert set(world.opened.erasure().erase(IDS[2]).user_ids) == set(IDS)
    assert {user_id: holders(world, user_id) for user_id in IDS} == NOWHERE
    gone = {"stillhere:onboarding:dead"} | {place for place in places[OTHER] if "/." in place}  # named a phone, too; left by the killed
    assert holders(world, OTHER) == [place for place in places[OTHER] if place not in gone]
    raw = read_columns(world.home.raw_dir("onboarding"), world.opened.product)
    assert raw.user_ids.tolist() == [OTHER]
    report = bootstrap.check_consistency(world.opened, not_after_us=world.now_us)
    assert (report.is_consistent, report.receipts) == (True, 1)


def test_what_cannot_be_read_of_a_person_is_erased_too_and_no_log_names_them(world, caplog):
    ada, phone, tablet = IDS
    lived(world)
    for key in world.opened.client.scan_iter("*"):
        if any(user_id.encode() in key and b"stillhere" not in key for user_id in (ada, phone)):
            fields = world.opened.client.hkeys(key)
            world.opened.client.hset(key, mapping=dict.fromkeys(fields, b"\xff rubbish"))
    world.send(*(world.event(user_id, "login") for user_id in (*IDS, OTHER)), world.alias("watch-1", ada), world.identify(phone))
    assert {reason.partition(":")[0] for _, reason in world.opened.stream.dead_letters()} >= {"unreadable_timeline"}
    assert all("features_unavailable" in world.decide(user_id)["degraded"] for user_id in IDS)
    world.opened.exporter.export()
    assert set(world.opened.erasure().erase(tablet).user_ids) == {*IDS, "watch-1"}
    assert {user_id: holders(world, user_id) for user_id in IDS} == NOWHERE
    assert [user_id for user_id in IDS if user_id in caplog.text] == []


def test_nothing_that_arrives_later_brings_an_erased_person_back(world):
    lived(world)
    world.opened.erasure().erase(IDS[0])
    answer = world.send(*(world.event(user_id, "login") for user_id in IDS), world.identify(IDS[0]), world.alias("new-phone", IDS[1]))
    assert [row["code"] for row in answer["rejected"]] == ["user_erased"] * 5
    items = [world.event(IDS[1], "login"), world.identify(IDS[0]), world.alias(IDS[2], IDS[0]), world.identify(OTHER, anonymous_id=IDS[1])]
    bodies = [(item["user_id"], orjson.dumps({"received_us": world.now_us, "item": item})) for item in items]
    world.opened.stream.publish(bodies)  # accepted before the erasure, applied after it
    world.work()
    for user_id in IDS:
        output = world.decide(user_id)
        assert (output["action"], output["reason"]["code"]) == ("none", "user_erased")
        assert world.opened.ledger.receipt("onboarding", output["decision_id"]) is None
    world.opened.exporter.export()
    world.opened.erasure().compact()
    assert {user_id: holders(world, user_id) for user_id in IDS} == NOWHERE


class Breaks:
    """A place that fails once it has done its work, or before."""

    def __init__(self, place, *, before) -> None:
        self.place, self.before = place, before

    def erase(self, user_ids):
        if not self.before:
            self.place.erase(user_ids)
        raise StoreError("away")


def test_an_erasure_that_breaks_off_anywhere_is_completed_by_erasing_again(world):
    lived(world)
    whole = world.opened.erasure()
    for name in whole.places:
        for before in (True, False):
            places = {**whole.places, name: Breaks(whole.places[name], before=before)}
            with pytest.raises(StoreError):
                type(whole)(identities=whole.identities, places=places, compact=whole.compact).erase(IDS[1])
    assert set(whole.erase(IDS[1]).user_ids) == set(IDS)
    assert {user_id: holders(world, user_id) for user_id in IDS} == NOWHERE
    again = whole.erase(IDS[1])
    assert (again.user_ids, again.found_anything) == ((IDS[1],), False)
