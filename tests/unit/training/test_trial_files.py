from __future__ import annotations

import gzip
import json
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pandas as pd
import pytest

from features.core.columns import columns_from_events
from features.core.event import Event, to_us
from features.core.kernel import batch_vectors
from features.core.labels import label_rows
from features.core.program import compile_program
from training.planted import Design, Effects
from training.trial_files import decisions_table, simulate_trial

END = datetime(2025, 6, 2, 15, tzinfo=UTC)
TWICE = Design(n_decisions=2, control_share=0.3)


@pytest.fixture(scope="module")
def written(onboarding, tmp_path_factory):
    file = tmp_path_factory.mktemp("trial") / "trial.parquet"
    return simulate_trial(onboarding, file, n_users=400, seed=6, end=END, effects=Effects(), design=TWICE)


@pytest.fixture(scope="module")
def events(written):
    """Those that an import takes, each once."""
    whole = []
    for line in gzip.decompress(written.events_file.read_bytes()).splitlines():
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if row["event_id"] != "broken":
            times = {name: datetime.fromisoformat(row[name]) for name in ("occurred_at", "received_at")}
            whole.append(Event(**(row | times)))
    return whole


@pytest.fixture(scope="module")
def as_read(onboarding, events, written):
    """Columns of the log, and the code of each decision's user."""
    columns, user_ids = columns_from_events(events, onboarding.catalogue.kinds)
    code = {user: place for place, user in enumerate(user_ids)}
    return columns, len(user_ids), np.array([code[user] for user in written.trial.frame.rows["user_id"]])


def test_the_same_arguments_give_the_same_bytes(onboarding, written, tmp_path):
    later = END + timedelta(hours=3)  # of the end, the day counts
    again = simulate_trial(onboarding, tmp_path / "trial.parquet", n_users=400, seed=6, end=later, effects=Effects(), design=TWICE)
    for name in ("events_file", "profiles_file", "trial_file"):
        assert getattr(again, name).read_bytes() == getattr(written, name).read_bytes()


def test_the_features_of_the_trial_are_those_that_the_log_gives(onboarding, written, as_read):
    columns, n_users, user = as_read
    frame = written.trial.frame
    vectors = batch_vectors(columns, n_users, user, frame.as_of_us, compile_program(onboarding.catalogue))
    assert np.array_equal(vectors, frame.vectors, equal_nan=True)


def test_the_log_goes_on_as_the_outcomes_say(onboarding, written, as_read):
    columns, _, user = as_read
    frame = written.trial.frame
    kinds = [kind.name for kind in onboarding.catalogue.kinds]
    use = np.isin(columns.kind, [kinds.index(name) for name in onboarding.label.activity])
    labels = label_rows(
        columns.user[use],
        (columns.occurred_us - columns.skew_us)[use],
        user,
        frame.as_of_us,
        horizon_us=frame.horizon // timedelta(microseconds=1),
        end_of_data_us=to_us(written.end),
    )
    assert labels.mature.all()
    assert (labels.dropped_out == frame.outcomes).all()


def test_events_arrive_in_order_and_before_the_end(events, written):
    arrived = [event.received_at for event in events]
    assert arrived == sorted(arrived)
    assert arrived[-1] <= written.end <= END
    assert len({event.event_id for event in events}) == written.n_events < len(events)


def test_the_table_holds_the_decisions_and_no_truth(written):
    table = pd.read_parquet(written.trial_file)
    trial = written.trial
    assert list(table.columns) == [
        *("user_id", "as_of", "action", "channel", "delay_s", "propensity", "contacts", "hour_of_week", "dropped_out", "return_s"),
    ]
    sent = trial.action > 0
    assert table["action"].tolist() == [trial.actions[code] for code in trial.action]
    assert (table["channel"].notna() == sent).all()
    assert (table["delay_s"].notna() == sent).all()
    assert table["delay_s"][sent].tolist() == [trial.delays_s[code] for code in trial.delay[sent]]
    assert (table["return_s"].isna() == table["dropped_out"]).all()


def test_the_truth_is_there_when_asked_for(written):
    table = decisions_table(written.trial, truth=True)
    assert (table["cause"] == [written.trial.actions[code] for code in written.trial.cause]).all()
    assert (table["p_dropout_silence_3600s"] == written.trial.dropout[:, 5, 2]).all()
    assert math.isclose(table["p_dropout_none"].mean(), written.trial.dropout[:, 0, 0].mean())


def test_profiles_are_of_people_who_agreed(written):
    profiles = pd.read_csv(written.profiles_file, dtype=str).dropna(subset=["user_id", "plan"])
    assert len(profiles) == 400
    assert (profiles[["consent", "in_app_opt_in", "email_opt_in"]] == "true").all(axis=None)
    rows = written.trial.frame.rows.merge(profiles, on="user_id", suffixes=("", "_told"))
    for name in ("plan", "device", "cohort", "locale"):
        assert (rows[name] == rows[f"{name}_told"]).all()


def test_people_who_joined_before_make_the_log_longer_and_leave_the_trial_alone(onboarding, written, events, tmp_path):
    file = tmp_path / "trial.parquet"
    longer = simulate_trial(onboarding, file, n_users=400, seed=6, end=END, effects=Effects(), design=TWICE, days_before=63)
    assert file.read_bytes() == written.trial_file.read_bytes()
    assert (longer.n_before, written.n_before) == (400, 0)
    rows = [json.loads(line) for line in gzip.decompress(longer.events_file.read_bytes()).splitlines() if b'"event_id":"e' in line]
    of_the_trial = {(row["event_id"], row["kind"], row["occurred_at"]) for row in rows if row["user_id"].startswith("user-")}
    assert {event_id for event_id, _, _ in of_the_trial} >= {event.event_id for event in events}
    others = [datetime.fromisoformat(row["occurred_at"]) for row in rows if row["user_id"].startswith("earlier-")]
    first = min(event.occurred_at for event in events)
    assert timedelta(days=55) < first - min(others) < timedelta(days=65)
    assert max(others) > written.end - timedelta(days=2)  # and some are still there at the end
    profiles = pd.read_csv(longer.profiles_file, dtype=str)
    assert profiles["user_id"].str.startswith("earlier-").sum() >= 400
