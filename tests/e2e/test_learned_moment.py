"""From a trial of delays to an answer: simulated, imported, trained, registered, fetched, and a mail that waits for its better hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import orjson
import pytest

from features.adapters.feast_history import history_of
from features.adapters.feast_store import open_store
from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import ParquetRawLog
from features.core.event import to_us
from features.core.product import Product
from features.declarations.product_file import load_product
from features.home import Home
from features.ingest.import_log import ImportTarget, declared_files, import_file
from models.bundle import Bundle, load_bundle
from serving.adapters.model_registry import fetch_champion
from serving.decision.policy import Policy
from serving.policy_file import load_policy
from serving.policy_file.document import with_hash
from serving.replay import Replayer
from serving.use_case import DecisionAnswer
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
    def moments(self) -> list[dict[str, Any]]:
        """Of the decisions that send, with a curve."""
        outputs = [orjson.loads(answer.output) for answer in self.answers]
        return [output["moment"] for output in outputs if output["action"] == "send" and output["moment"]["curve"]]


@pytest.fixture(scope="module")
def way(onboarding: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    folder = tmp_path_factory.mktemp("moment")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_RUN_ID", raising=False)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        yield walk(onboarding, folder)
        mlflow.set_tracking_uri(None)


def waiting(product: Product) -> Policy:
    """The product's policy, whose outreach may wait as that of the MOOC may."""
    mooc = ROOT / "products" / "mooc"
    timing = load_policy(mooc / "policy.yaml", load_product(mooc)).timing
    return with_hash(replace(load_policy(PRODUCT_DIR / "policy.yaml", product), timing=timing))


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
    assert way.moments
    for moment in way.moments:
        assert len(moment["curve"]) == 6
        assert all(slot["low"] <= slot["expected"] <= slot["high"] for slot in moment["curve"])
    advice = Counter(moment["advice"] for moment in way.moments)
    assert advice["better_slot"] >= 1, advice
    waiting = next(moment for moment in way.moments if moment["advice"] == "better_slot")
    assert "when it is expected to help most" in waiting["sentence"]
    chosen = next(slot for slot in waiting["curve"] if slot["at"] == waiting["send_at"])
    assert chosen["code"] == "ok"


def test_every_one_of_these_answers_replays_to_the_same_bytes(way: Way) -> None:
    replayer = Replayer(archive=way.world.archive)
    assert all(replayer.replay(answer.receipt).output == answer.output for answer in way.answers)
