"""From a trial of delays to an answer: simulated, imported, trained, registered, fetched, and a mail that waits for its better hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import orjson
import pytest

from features.adapters.feast_history import history_of
from features.adapters.feast_store import open_store
from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import ParquetRawLog
from features.core.event import text_hash, to_us
from features.core.product import Product
from features.core.timeline import unpack
from features.core.weekly import instants_of
from features.declarations.product_file import load_product
from features.home import Home
from features.ingest.import_log import ImportTarget, declared_files, import_file
from models.bundle import Bundle, load_bundle
from models.timing.benefit import When
from serving.adapters.model_registry import fetch_champion
from serving.decision.local_time import utc_offset_s, zone_of
from serving.decision.policy import Policy
from serving.policy_file import load_policy
from serving.policy_file.document import with_hash
from serving.replay import Replayer
from serving.use_case import DecisionAnswer
from tests.certain import certain_policy
from tests.mlflow_store import working_in
from tests.serving_world import ROOT, World
from training.fit import FitParameters
from training.frame import USER
from training.planted import CAUSES, Design, Effects, Timing
from training.run import Options, Outcome, train_product
from training.trial_files import TrialFiles, simulate_trial

pytestmark = [pytest.mark.timeout(600), pytest.mark.faults]  # half a minute of training and more

STRONG = Effects(
    sizes=dict.fromkeys(CAUSES, 0.6),
    unmatched_share=1.0,
    timing=Timing.AGAINST_HABIT,
    half_life_s=dict.fromkeys(CAUSES, 1e8),  # the hour matters and nothing else does, so that few rows show it
    lag_s=dict.fromkeys(CAUSES, 60.0),
    receptive_floor=0.0,
    fatigue=0.0,
    contacts_mean=0.0,
    channel_preference=0.0,
    do_not_disturb=0.0,
)
DESIGN = Design(n_decisions=3, control_share=0.1, matched_share=1.0)
END = datetime(2026, 3, 2, tzinfo=UTC)
ASKED = 300
PRODUCT_DIR = ROOT / "products" / "onboarding"


@dataclass(frozen=True, kw_only=True)
class Way:
    """All that the way leaves behind."""

    outcome: Outcome
    bundle: Bundle
    world: World
    answers: list[DecisionAnswer]

    @property
    def receipts(self) -> list[dict[str, Any]]:
        """Of the decisions that send, with a curve."""
        receipts = [orjson.loads(answer.receipt) for answer in self.answers]
        return [one for one in receipts if one["output"]["action"] == "send" and one["output"]["moment"]["curve"]]

    @property
    def told(self) -> list[dict[str, Any]]:
        """Those of a message that the trial tried."""
        return [one for one in self.receipts if "timing_of" in one["inputs"]]


@pytest.fixture(scope="module")
def way(onboarding: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    folder = tmp_path_factory.mktemp("moment")
    with working_in(folder):
        yield walk(onboarding, folder)


def waiting(product: Product) -> Policy:
    """The product's policy, whose outreach may wait as that of the MOOC may."""
    mooc = ROOT / "products" / "mooc"
    timing = load_policy(mooc / "policy.yaml", load_product(mooc)).timing
    return with_hash(replace(certain_policy(product), timing=timing))


def walk(product: Product, folder: Path) -> Way:
    files = simulate_trial(product, folder / "sim" / "trial.parquet", n_users=1_200, seed=3, end=END, effects=STRONG, design=DESIGN)
    home, world = Home(folder / "home"), World(product, waiting(product))
    world.now = files.end
    imported(files, product, home, world)
    options = Options(fit=FitParameters(max_rounds=30), trial=files.trial_file)
    outcome = train_product(product, home, product_dir=PRODUCT_DIR, seed=1, options=options)
    bundle_folder = fetch_champion(product.name, home.bundles_dir(product.name))
    assert bundle_folder is not None
    bundle = load_bundle(bundle_folder, product)
    world.scorer = bundle  # type: ignore[assignment] - a real model in the place of the one that says what it is told
    world.service = world.service_with(waiting(product))
    users = sorted(set(files.trial.frame.rows[USER]))[:ASKED]
    return Way(outcome=outcome, bundle=bundle, world=world, answers=[world.answer(user) for user in users])


def imported(files: TrialFiles, product: Product, home: Home, world: World) -> None:
    """The trial's log, into the raw log and the world's own stores."""
    home.raw_dir(product.name).mkdir(parents=True)
    world.timelines = MemoryTimelineStore(kinds=product.catalogue.kinds, clock_us=lambda: to_us(world.now))
    world.profiles = MemoryProfileStore()
    target = ImportTarget(
        raw_log=ParquetRawLog(home.raw_dir(product.name)),
        timelines=world.timelines,
        profiles=world.profiles,
        labels_dir=home.labels_file(product.name, "any").parent,
        rejected_dir=home.rejected_dir(product.name),
    )
    for path, declaration in declared_files(files.trial_file.parent, product):
        import_file(path, declaration, product, target)
    users = sorted(set(files.trial.frame.rows[USER]))
    known = {user: profile for user, profile in zip(users, world.profiles.read(users), strict=True) if profile}
    history_of(open_store(product, home, "redis://127.0.0.1:1")).append(known, changed_us=to_us(files.end - timedelta(days=120)))


def test_the_champion_that_is_served_has_learned_what_a_delay_does(way: Way) -> None:
    assert way.outcome.standing.alias == "champion"
    assert way.bundle.timing is not None
    response = way.bundle.timing.response
    assert response is not None
    assert response.is_shown
    assert set(response.actions) == {"none", *CAUSES}


def test_the_run_and_its_timing_stage_say_what_the_trial_showed(way: Way) -> None:
    client = mlflow.MlflowClient()
    run = client.get_run(way.outcome.run_id)
    assert run.data.tags["stillhere.trial_fingerprint"]
    (timing,) = [
        child
        for child in client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
        if child.info.run_name == "timing"
    ]
    response = way.bundle.timing.response
    assert timing.data.metrics["timing.response_slope"] == response.slope
    assert "stillhere.no_response_because" not in timing.data.tags
    card = client.download_artifacts(way.outcome.run_id, "model_card.md")
    assert f"effect of timing on {response.n_rows:,} randomised rows: shown" in Path(card).read_text()


def test_answers_show_what_is_expected_of_each_slot_and_some_wait_for_a_better_one(way: Way) -> None:
    moments = [one["output"]["moment"] for one in way.told]
    assert moments
    for moment in moments:
        assert len(moment["curve"]) == 6
        assert all(slot["low"] <= slot["expected"] <= slot["high"] for slot in moment["curve"])
    advice = Counter(moment["advice"] for moment in moments)
    assert advice["better_slot"] >= 1, advice
    waiting = next(moment for moment in moments if moment["advice"] == "better_slot")
    assert "when it is expected to help most" in waiting["sentence"]
    chosen = next(slot for slot in waiting["curve"] if slot["at"] == waiting["send_at"])
    assert chosen["code"] == "ok"


def test_the_curve_is_that_of_the_action_that_the_message_is(way: Way) -> None:
    """Of each receipt, by the model again: the effect of the cause that picked the message, and not that of the trial's first action."""
    causes = Counter(one["output"]["cause"]["group"] for one in way.told)
    assert set(causes) <= set(CAUSES)
    assert causes.keys() - {way.bundle.timing.response.actions[1]}, causes
    for one in way.told:
        output, inputs = one["output"], one["inputs"]
        assert inputs["timing_of"] == output["message"]["id"]
        recorded = [slot["expected"] for slot in output["moment"]["curve"]]
        again = {name: expected_of(way, inputs, name) for name in way.bundle.timing.response.actions[1:]}
        assert recorded == pytest.approx(again[output["cause"]["group"]], abs=1e-9)
        assert len({tuple(numbers) for numbers in again.values()}) > 1


def expected_of(way: Way, inputs: dict[str, Any], name: str) -> list[float]:
    """What the model expects of an action in each slot, from a receipt's inputs and the timeline it names."""
    (person,) = way.world.service.people.read([inputs["user_id"]], since_us=0)
    instants = instants_of(unpack(person.timeline).events, np.array([text_hash(kind) for kind in way.world.product.label.activity]))
    vector = np.array(
        [inputs["features"][each] if inputs["features"][each] is not None else np.nan for each in way.world.program.catalogue.feature_names]
    )
    policy = way.world.service.policy
    when = When(
        as_of_us=inputs["as_of_us"],
        utc_offset_s=utc_offset_s(inputs["as_of_us"], zone_of(inputs["profile"], policy)),
        activity_us=instants,
    )
    delays_s = [slot["delay_us"] / 1e6 for slot in inputs["timing"]]
    curve = way.bundle.timing_curve(vector, {**inputs["profile"], **inputs["ages"]}, when=when, delays_s=delays_s, names=[name])
    assert curve is not None
    return [slot.expected for slot in curve.slots]


def test_every_one_of_these_answers_replays_to_the_same_bytes(way: Way) -> None:
    replayer = Replayer(archive=way.world.archive, ledger=way.world.ledger, scorer=way.bundle, program=way.world.program)
    for answer in way.answers:
        report = replayer.replay(answer.receipt)
        assert report.output == answer.output
        assert report.is_same
