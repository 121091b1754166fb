"""Data that no model can be learned from: a clear error, a failed run, no half-registered model, and the old champion serving."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import mlflow
import pytest

from features.adapters.raw_log import ParquetRawLog
from features.core.event import Event
from models.bundle import load_bundle
from serving.adapters.model_registry import fetch_champion, resolve_champion
from tests.model.place import Fresh
from tests.unit.training import synthetic
from training.dataset import build_frame, features_join
from training.errors import EmptyLogError, LeakError, NoMatureLabelsError, OneClassError, TrainingError
from training.frame import AS_OF, USER
from training.run import Options, train_product

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def refill(fresh: Fresh, events: Iterable[Event]) -> None:
    """Replace the product's log."""
    raw_dir = fresh.home.raw_dir(fresh.product.name)
    shutil.rmtree(raw_dir)
    raw_dir.mkdir()
    if made := list(events):
        ParquetRawLog(raw_dir).append(made)


def event(user_id: str, kind: str, day: float) -> Event:
    at = synthetic.BEGIN + day * DAY
    return Event(event_id=f"{user_id}/{kind}/{day}", user_id=user_id, kind=kind, occurred_at=at, received_at=at)


def nobody(fresh: Fresh) -> None:
    refill(fresh, [])


def everybody_every_day(fresh: Fresh) -> None:
    refill(fresh, [event(f"u{user}", "login", day + user / 100) for user in range(50) for day in range(60)])


def three_days_only(fresh: Fresh) -> None:
    refill(fresh, [event(f"u{user}", "login", day + user / 100) for user in range(50) for day in range(3)])


def a_kind_that_is_written_once_the_outcome_is_known(fresh: Fresh) -> None:
    """A support desk back-dates what it notes of those who left, so the log says that it was known before they did."""
    honest = [made for made in synthetic.events(n_users=300, n_days=60, seed=5) if made.kind != "login_failed"]
    refill(fresh, honest)
    rows = build_frame(fresh.product, fresh.home, join=features_join)
    left = rows.rows.loc[rows.outcomes, [USER, AS_OF]]
    planted = [
        Event(event_id=f"note {user} {at}", user_id=user, kind="login_failed", occurred_at=at - HOUR, received_at=at - HOUR)
        for user, at in ((user, as_of.to_pydatetime()) for user, as_of in left.itertuples(index=False))
    ]
    refill(fresh, [*honest, *planted])


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (nobody, EmptyLogError, "no event"),
        (three_days_only, NoMatureLabelsError, "no row's outcome is known yet"),
        (everybody_every_day, OneClassError, "expected both outcomes"),
        (a_kind_that_is_written_once_the_outcome_is_known, LeakError, "input count_login_failed_1d alone orders the outcomes"),
    ],
)
def test_data_that_cannot_be_learned_from_leaves_the_champion_serving(
    fresh: Fresh, tmp_path: Path, spoil: Callable[[Fresh], None], error: type[TrainingError], said: str
) -> None:
    version = fresh.register("good", champion_after=None)
    client = mlflow.MlflowClient()
    spoil(fresh)

    with pytest.raises(error, match=said):
        train_product(fresh.product, fresh.home, seed=1, options=Options(timing=False))

    assert [str(each.version) for each in client.search_model_versions(f"name = '{fresh.name}'")] == [version]
    assert fresh.aliases == {"champion": version}
    champion = resolve_champion(fresh.product.name)
    assert champion is not None
    assert str(champion.version) == version
    folder = fetch_champion(fresh.product.name, tmp_path)
    assert folder is not None
    assert load_bundle(folder, fresh.product).version == f"{fresh.product.name}/{version}"
    experiment = mlflow.get_experiment_by_name(fresh.name)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.mlflow.runName = 'train'")
    assert run.info.status == "FAILED"
    assert said in run.data.tags["stillhere.stopped_because"]
    assert mlflow.active_run() is None
