"""The loop is closed: what an installation decided by chance, and what became of its users, teaches when to act."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import orjson
import pytest

from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import read_columns
from features.core.event import Event, to_us
from features.core.product import Product
from features.home import Home
from serving.adapters.receipt_export import receipt_row
from serving.decision.decide import decide
from serving.decision.output import output_object
from serving.decision.values import Decision
from tests.mlflow_store import working_in
from tests.serving_world import golden_inputs, golden_policy
from tests.unit.training import synthetic
from tests.unit.training_thresholds.receipts import export
from training.dataset import features_join
from training.timing.drawn_delays import DrawnTrial, trial_of_receipts, write_trial
from training.timing.fitted import TimingOptions
from training.timing.hazard_fit import HazardParameters
from training.timing.run import TimingRun, time_product

PRODUCT: Product = synthetic.product()
FEW = TimingOptions(hazard=HazardParameters(max_rounds=20, min_data_in_leaf=50), max_rows=800)
N_USERS = 2_400
DROPOUT = {0.0: 0.2, 3_600.0: 0.3, 21_600.0: 0.6, 86_400.0: 0.7, None: 0.8}
"""Planted: P(dropout) by delay in seconds; None: never."""
POLICY = golden_policy("drawing")  # outreach from 8:00 to 21:00
VERSIONS: dict[str, str | None] = {"model": "tiny/1", "policy": POLICY.hash, "features": PRODUCT.catalogue.fingerprint}


def login(user_id: str, at: datetime) -> Event:
    return Event(event_id=f"{user_id}{at}", user_id=user_id, kind="login", occurred_at=at, received_at=at)


def decided(user_id: str, as_of: datetime, number: int) -> Decision:
    """By the pure core; the identity of each decision is its entropy."""
    profile = golden_inputs().profile | {"timezone": "UTC"}
    inputs = golden_inputs(user_id=user_id, as_of_us=to_us(as_of), decision_id=f"d{number:016x}-{number:026d}", profile=profile)
    return decide(inputs, POLICY)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A log and the receipts of people asked about by day, whose return depends on the delay that was drawn for them."""
    home = synthetic.home_at(tmp_path_factory.mktemp("loop"))
    synthetic.fill(home, PRODUCT, n_users=300, n_days=60, seed=5)
    rng, events, rows = np.random.default_rng(11), [], []
    for number in range(N_USERS):
        user_id, as_of = f"asked{number:04d}", synthetic.BEGIN + timedelta(days=25, hours=8 + 12 * rng.random())
        events += [login(user_id, as_of - timedelta(days=float(days))) for days in rng.uniform(0.5, 6, 3)]
        decision = decided(user_id, as_of, number)
        output = output_object(decision, VERSIONS)
        rows.append(receipt_row(orjson.dumps({"output": output}), {"output": output}))
        delay_s = None if decision.send_at_us is None else (decision.send_at_us - decision.as_of_us) / 1e6
        if rng.random() >= DROPOUT[delay_s]:
            events.append(login(user_id, as_of + timedelta(seconds=delay_s or 0.0, hours=20)))
    ParquetRawLog(home.raw_dir(PRODUCT.name)).append(events)
    export(home.receipts_dir(PRODUCT.name), rows)
    return home


@pytest.fixture(scope="module")
def trial(place: Home) -> DrawnTrial:
    return trial_of_receipts(place.receipts_dir(PRODUCT.name), read_columns(place.raw_dir(PRODUCT.name), PRODUCT), PRODUCT)


@pytest.fixture(scope="module")
def outcome(place: Home, trial: DrawnTrial, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimingRun]:
    folder = tmp_path_factory.mktemp("mlflow")
    write_trial(trial, folder / "trial.parquet")
    with working_in(folder):
        yield time_product(PRODUCT, place, trial=folder / "trial.parquet", options=FEW, join=features_join)


def test_the_trial_holds_what_chance_chose_with_unequal_chances_where_quiet_hours_closed_a_delay(trial: DrawnTrial) -> None:
    assert 0.4 * N_USERS < len(trial.table) < 0.7 * N_USERS  # a tenth drawn to never, half of the others to a moment
    assert set(trial.table["delay_propensity"].dropna()) == {1 / 4, 1 / 3}
    late = trial.table[trial.table["as_of"].dt.hour >= 15]
    assert 21_600.0 not in set(late["delay_s"])


def test_the_response_that_is_learned_from_it_shows_that_waiting_matters(trial: DrawnTrial, outcome: TimingRun) -> None:
    response = outcome.fitted.model.response
    assert response is not None
    assert response.delays_s == (0.0, 3_600.0, 21_600.0, 86_400.0)
    assert response.actions == ("none", *sorted(set(trial.table["action"]) - {"none"}))
    assert response.n_rows == (trial.table["action"] != "none").sum()
    assert response.is_shown
    assert response.slope > 0.5
