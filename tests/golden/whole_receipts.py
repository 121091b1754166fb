"""Whole receipts, each with the timeline that was decided on: what is needed to read them, and the cases that wrote them.

``python tests/golden/record.py`` writes them anew from the present code; then read the diff line by line.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from features.core.event import Event, to_us
from features.core.product import Product
from features.core.program import compile_program
from features.core.timeline import timeline_from_events
from features.declarations.product_file import load_product
from models.bundle import Bundle, load_bundle
from serving.adapters.memory_ledger import MemoryLedger
from serving.adapters.policy_archive import MemoryPolicyArchive
from serving.decision.canonical import canonical
from serving.policy_file import load_policy, policy_document
from serving.policy_file.document import document_hash
from serving.ports import Commit
from serving.replay import Replayer
from tests.golden.small_trees import write_small_trees
from tests.serving_world import NOON, World

FOLDER = Path(__file__).parent / "receipts"
POLICY = FOLDER / "policy.json"
FILES = sorted((FOLDER / "decisions").glob("*.json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeReceipt:
    """A receipt, and the timeline that it names."""

    receipt: bytes
    timeline: bytes

    @property
    def content(self) -> dict[str, Any]:
        return orjson.loads(self.receipt)


def read(file: Path) -> WholeReceipt:
    content = orjson.loads(file.read_bytes())
    return WholeReceipt(receipt=canonical(content["receipt"]), timeline=bytes.fromhex("".join(content["timeline"])))


def product() -> Product:
    return load_product(FOLDER / "product")


def replayer(whole: WholeReceipt, scorer: Bundle | None, product: Product) -> Replayer:
    """As after a restart: the archive of policies, and a ledger that holds receipt and timeline under the names that the receipt gives."""
    document, content = POLICY.read_bytes(), whole.content
    ledger = MemoryLedger()
    commit = Commit(
        decision_id=content["decision_id"],
        user_id=content["inputs"]["user_id"],
        receipt=whole.receipt,
        timeline_hash=content["timeline"]["hash"],
        timeline=whole.timeline,
        contact=None,
        caps=(),
        outbox=b"",
        as_of_us=content["inputs"]["as_of_us"],
    )
    ledger.commit_many(product.name, [commit])
    archive = MemoryPolicyArchive(documents={document_hash(document): document})
    return Replayer(archive=archive, ledger=ledger, scorer=scorer, program=compile_program(product.catalogue))


def silent(world: World) -> None:
    """Somebody who came for a week, and eleven days ago for the last time: it is about silence."""
    world.person("ada", seats=3.0)
    for day in range(11, 18):
        world.happens("ada", "login", ago=timedelta(days=day))


def silent_after_failures(world: World) -> None:
    """Three sign-ins failed within the week, four days after the last that did not: silence still weighs more."""
    silent(world)
    world.happens("ada", "login", times=5, ago=timedelta(days=9))
    world.happens("ada", "login_failed", times=3, ago=timedelta(days=5))


def in_trouble(world: World) -> None:
    world.person("ada", seats=40.0)
    world.happens("ada", "login", times=6, ago=timedelta(days=2))
    world.happens("ada", "login_failed", times=3)


def regular(world: World) -> None:
    world.person("ada", seats=40.0)
    world.happens("ada", "login", times=6, ago=timedelta(hours=20))


def told_late(world: World) -> None:
    """A login of yesterday that is told four minutes after the request: as_of is when it was told, and it counts."""
    silent(world)
    at, told = world.now - timedelta(days=1), world.now + timedelta(minutes=4)
    late = Event(event_id="late", user_id="ada", kind="login", occurred_at=at, received_at=told)
    world.timelines.merge({"ada": timeline_from_events([late], world.product.catalogue.kinds)})


def never_signed_in(world: World) -> None:
    """No login at all: the seconds since it are undefined, and the model has a branch for that."""
    world.person("ada")
    world.happens("ada", "login_failed", times=5, ago=timedelta(days=6))


def crowded(world: World) -> None:
    """More logins than a timeline keeps: the rest was let go."""
    world.person("ada", seats=3.0)
    world.happens("ada", "login", times=30, ago=timedelta(days=4))


CASES: dict[str, tuple[Callable[[World], None], bool]] = {  # what had happened, and whether there was a model
    "silence_brings_an_email_about_it": (silent, True),
    "failed_sign_ins_of_the_week_weigh_less_than_silence": (silent_after_failures, True),
    "three_failed_sign_ins_bring_help_whatever_the_risk": (in_trouble, True),
    "who_was_here_yesterday_is_left_alone": (regular, True),
    "what_was_told_late_moves_as_of_to_when_it_was_told": (told_late, True),
    "who_never_signed_in_has_an_undefined_silence": (never_signed_in, True),
    "what_a_timeline_let_go_is_not_counted_again": (crowded, True),
    "without_a_model_help_comes_and_no_score_is_replayed": (in_trouble, False),
}


def record() -> None:
    """Write the policy and every receipt anew."""
    made = product()
    POLICY.write_bytes(policy_document(load_policy(FOLDER / "product" / "policy.yaml", made)))
    with TemporaryDirectory() as folder:
        scorer = load_bundle(write_small_trees(made, Path(folder)), made)
        for name, (arrange, has_model) in CASES.items():
            _write(FOLDER / "decisions" / f"{name}.json", decided(arrange, scorer if has_model else None, made))


def decided(arrange: Callable[[World], None], scorer: Bundle | None, product: Product) -> WholeReceipt:
    """What the whole service decides at noon; chance, which only names the decision, is nought."""
    world = World(product, load_policy(FOLDER / "product" / "policy.yaml", product), scorer=scorer)
    arrange(world)
    service = world.service_with(world.service.policy, entropy=bytes)
    receipt = service.decide_one("ada", now_us=to_us(NOON)).receipt
    hash_ = orjson.loads(receipt)["timeline"]["hash"]
    packed = world.ledger.timeline(product.name, "ada", hash_)
    assert packed is not None  # it was committed with the receipt
    return WholeReceipt(receipt=receipt, timeline=packed)


def _write(file: Path, whole: WholeReceipt) -> None:
    digits = whole.timeline.hex()
    lines = [digits[place : place + 100] for place in range(0, len(digits), 100)]
    content = {"receipt": orjson.loads(whole.receipt), "timeline": lines}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
