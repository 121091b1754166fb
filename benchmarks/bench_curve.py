"""What the timing curve costs a decision that sends outreach: the curve alone, and the whole decision with it and without.

    make bench-curve

In this process, from memory, one thread, of 300 users in turn, so that no model stays warm for one row. The models are of noise and as
large as trained ones: a hazard of 100 trees, a response of six members of 110. The bound is on the curve without a response: what every
product pays that lets outreach wait.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.report import row, write
from features.core.event import to_us
from features.core.product import Product
from features.declarations.product_file import load_product
from models.bundle import Bundle, load_bundle
from models.timing.part import TimingModel
from serving.adapters.memory_ledger import MemoryLedger
from serving.decision.local_time import zone_of
from serving.decision.policy import Policy, TimingRule
from serving.policy_file import load_policy
from serving.policy_file.document import with_hash
from serving.use_case.knowledge import Reader
from tests.serving_world import ROOT, World
from tests.slow_curve import timing_model
from tests.small_model import write_small_bundle

N_USERS, ROUNDS = 300, 9
KINDS = ("login", "page_view", "feature_used", "click", "step_completed")
PRODUCT_DIR, MOOC_DIR = ROOT / "products" / "onboarding", ROOT / "products" / "mooc"


@dataclass(frozen=True, kw_only=True)
class Sure:
    """The model, but for a risk that calls for outreach."""

    model: Bundle

    def __getattr__(self, name: str) -> object:
        return getattr(self.model, name)

    def risk(self, vectors: npt.NDArray[np.float64], _profiles: object) -> npt.NDArray[np.float64]:
        return np.full(len(vectors), 0.9)


def main() -> int:
    product = load_product(PRODUCT_DIR)
    policy = load_policy(PRODUCT_DIR / "policy.yaml", product)
    rule = load_policy(MOOC_DIR / "policy.yaml", load_product(MOOC_DIR)).timing
    assert rule is not None
    with tempfile.TemporaryDirectory() as folder:
        bundle = load_bundle(write_small_bundle(product, Path(folder), n_rounds=100), product)
    full = timing_model(len(bundle.signature.input_names), rounds=(100, 80, 110), n_rows=20_000)
    learned = {"none": None, "hazard": replace(full, response=None), "response": tried(full, policy)}
    worlds = {name: world(product, waits(policy, rule, timing), replace(bundle, timing=timing)) for name, timing in learned.items()}
    tasks = {f"{name} decision": decided(one) for name, one in worlds.items()}
    tasks |= {f"{name} curve": drawn(one, rule) for name, one in worlds.items() if name != "none"}
    times = measured(tasks)
    without = times["none decision"]
    rows = [
        row("curve, hazard alone", times["hazard curve"], "us", at_most=300),
        row("curve, with a response", times["response curve"], "us"),
        row("decision that sends outreach, without a curve", without, "us"),
        row("more with a curve of the hazard alone", times["hazard decision"] - without, "us"),
        row("more with a curve with a response", times["response decision"] - without, "us"),
    ]
    return 0 if write("curve", rows, notes=[f"{len(rule.delays)} slots; median of {ROUNDS} medians over {N_USERS} users"]) else 1


def tried(timing: TimingModel, policy: Policy) -> TimingModel:
    """A trial of every message that may be sent, so that each has a curve."""
    assert timing.response is not None
    messages = tuple(message.id for message in policy.messages)
    return replace(timing, response=replace(timing.response, actions=("none", *messages)))


def waits(policy: Policy, rule: TimingRule, timing: TimingModel | None) -> Policy:
    return with_hash(replace(policy, timing=None if timing is None else rule))


def world(product: Product, policy: Policy, bundle: Bundle) -> World:
    """Users of up to two hundred events, long enough away to be written to."""
    made, rng = World(product, policy, scorer=Sure(model=bundle)), np.random.default_rng(5)
    for number in range(N_USERS):
        user_id = made.person(str(number))
        for kind in KINDS:
            for _ in range(int(rng.integers(1, 8))):
                made.happens(user_id, kind, times=int(rng.integers(1, 6)), ago=timedelta(hours=float(rng.uniform(30, 480))))
    return made


def decided(one: World) -> Callable[[], list[float]]:
    """Seconds of each decision, of users to whom nobody has written."""

    def task() -> list[float]:
        one.ledger = MemoryLedger()
        service, now_us = one.service_with(one.service.policy), to_us(one.now)
        return [seconds(lambda user=user: service.decide_one(str(user), now_us=now_us)) for user in range(N_USERS)]

    return task


def drawn(one: World, rule: TimingRule) -> Callable[[], list[float]]:
    """Seconds of each curve, from the user's timeline on."""
    reader = Reader(product=one.product, program=one.program, scorer=one.scorer)
    known = reader.read(one.service.people.read([str(user) for user in range(N_USERS)], since_us=0), to_us(one.now))
    zone, names = zone_of(known[0].profile, one.service.policy), ("first_result", "slow_start")
    return lambda: [seconds(lambda user=user: reader.curve(user, rule, zone, names)) for user in known]


def seconds(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def measured(tasks: dict[str, Callable[[], list[float]]]) -> dict[str, float]:
    """Median microseconds of each, taken in turn, so that a slow second slows all of them."""
    rounds = [{name: statistics.median(task()) for name, task in tasks.items()} for _ in range(ROUNDS + 1)][1:]
    return {name: 1e6 * statistics.median(each[name] for each in rounds) for name in tasks}


if __name__ == "__main__":
    sys.exit(main())
