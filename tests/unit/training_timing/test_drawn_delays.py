"""From decisions of the whole of serving, exported, to a trial: what chance chose is in it, what the policy chose is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest

from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import RawColumns, read_columns
from features.core.event import Event
from features.core.product import Product
from serving.adapters.receipt_export import receipt_row
from serving.decision.policy import Exploration, Mode, Policy
from serving.policy_file import load_policy
from serving.policy_file.document import with_hash
from tests.serving_world import NOON, ROOT, FixedScorer, World
from tests.unit.training_thresholds.receipts import export
from training.errors import TrainingError
from training.thresholds.errors import NoReceiptsError
from training.timing.drawn_delays import COLUMNS, DrawnTrial, arm_table, trial_of_receipts, write_trial
from training.timing.trial_log import read_trial

HOUR = timedelta(hours=1)
CHANCE = Exploration(arm_share=0.4, delay_share=0.5, delays=(0 * HOUR, HOUR, 5 * HOUR))
N_USERS = 200


@pytest.fixture(scope="module")
def policy(onboarding: Product) -> Policy:
    shipped = load_policy(ROOT / "products" / "onboarding" / "policy.yaml", onboarding)
    return replace(shipped, holdout=None, exploration=CHANCE)


def receipts(product: Product, policy: Policy, *, n_users: int = N_USERS) -> list[dict[str, Any]]:
    """Decisions about people who went quiet, as rows of an export."""
    world = World(product, with_hash(policy), scorer=FixedScorer(said_risk=0.9, said_contributions={"silence": 1.0}))
    rows = []
    for number in range(n_users):
        world.person(user_id := f"u{number:03d}")
        world.happens(user_id, "login", times=12, ago=timedelta(days=10))
        receipt = world.answer(user_id).receipt
        rows.append(receipt_row(receipt, orjson.loads(receipt)))
    return rows


def log(folder: Path, product: Product, *, last: datetime, known: int = N_USERS) -> RawColumns:
    """Everybody was there; every other one came back a day after the decision; somebody goes on until ``last``."""
    folder.mkdir()
    events = [login(f"u{number:03d}", NOON - timedelta(days=10)) for number in range(known)]
    events += [login(f"u{number:03d}", NOON + timedelta(days=1)) for number in range(0, known, 2)]
    ParquetRawLog(folder).append([*events, login("last", last)])
    return read_columns(folder, product)


def login(user_id: str, at: datetime) -> Event:
    return Event(event_id=f"{user_id}{at}", user_id=user_id, kind="login", occurred_at=at, received_at=at)


@pytest.fixture(scope="module")
def rows(onboarding: Product, policy: Policy) -> list[dict[str, Any]]:
    return receipts(onboarding, policy)


@pytest.fixture(scope="module")
def late(onboarding: Product) -> datetime:
    return NOON + onboarding.label.horizon + timedelta(days=1)


@pytest.fixture
def trial(onboarding: Product, rows: list[dict[str, Any]], late: datetime, tmp_path: Path) -> DrawnTrial:
    export(tmp_path / "receipts", rows)
    return trial_of_receipts(tmp_path / "receipts", log(tmp_path / "raw", onboarding, last=late), onboarding)


def test_every_decision_that_chance_made_is_in_the_trial_and_no_other(trial: DrawnTrial, rows: list[dict[str, Any]]) -> None:
    outputs = {row["decision_id"]: orjson.loads(row["receipt"])["output"] for row in rows}
    by_chance = {id_ for id_, output in outputs.items() if output["delays"]["drawn"] or output["reason"]["code"] == "explored_none"}
    assert set(trial.table["decision_id"]) == by_chance
    assert trial.left_out["the policy chose the moment"] == len(rows) - len(by_chance) > 0
    for row in trial.table.itertuples():
        output = outputs[row.decision_id]
        if row.action == "none":
            assert output["message"] is None
            assert pd.isna(row.delay_s)
        else:
            sent_after = datetime.fromisoformat(output["moment"]["send_at"]) - datetime.fromisoformat(output["as_of"])
            assert (row.action, row.delay_s) == (output["message"]["id"], sent_after.total_seconds())


def test_the_chances_are_those_within_the_trial(trial: DrawnTrial) -> None:
    """Of ten decisions two are drawn to none, and half of the others to a moment, each of three alike."""
    sent = trial.table[trial.table["action"] != "none"]
    assert set(sent["delay_propensity"]) == {1 / 3}
    assert trial.table["sent_propensity"].tolist() == pytest.approx([0.4 / 0.6] * len(trial.table))
    assert set(sent["delay_s"]) == {0.0, 3_600.0, 18_000.0}
    assert {tuple(one) for one in trial.table["open_delays_s"]} == {(0.0, 3_600.0, 18_000.0)}


def test_at_night_the_policys_own_moment_is_not_among_what_chance_could_draw(
    onboarding: Product, policy: Policy, late: datetime, tmp_path: Path
) -> None:
    """It is 21:00 in Tokyo: 8:00 is the policy's own moment, eleven hours later."""
    chance = replace(CHANCE, delays=(0 * HOUR, 12 * HOUR, 14 * HOUR))
    night = replace(policy, default_timezone="Asia/Tokyo", timezone_attribute="plan", exploration=chance)
    export(tmp_path / "night", receipts(onboarding, night, n_users=60))
    found = trial_of_receipts(tmp_path / "night", log(tmp_path / "raw", onboarding, last=late), onboarding)
    assert {tuple(one) for one in found.table["open_delays_s"]} == {(43_200.0, 50_400.0)}
    assert set(found.table["delay_s"].dropna()) == {43_200.0, 50_400.0}


def test_the_outcome_is_that_of_the_log(trial: DrawnTrial) -> None:
    expected = [int(user_id[1:]) % 2 == 1 for user_id in trial.table["user_id"]]
    assert trial.table["dropped_out"].tolist() == expected


def test_what_is_written_is_what_train_reads(trial: DrawnTrial, tmp_path: Path) -> None:
    write_trial(trial, file := tmp_path / "of" / "trial.parquet")
    table = read_trial(file)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == len(trial.table)
    assert [row["delay"] for row in arm_table(table)] == ["now", "1h", "5h", "never"]
    assert sum(int(row["decisions"]) for row in arm_table(table)) == len(table)


def test_users_whose_horizon_is_not_over_or_whom_the_log_does_not_know_are_left_out_and_counted(
    onboarding: Product, rows: list[dict[str, Any]], late: datetime, trial: DrawnTrial, tmp_path: Path
) -> None:
    early = trial_of_receipts(tmp_path / "receipts", log(tmp_path / "early", onboarding, last=late - timedelta(days=2)), onboarding)
    assert (len(early.table), early.left_out["outcome not known yet"]) == (0, len(trial.table))
    few = trial_of_receipts(tmp_path / "receipts", log(tmp_path / "few", onboarding, last=late, known=100), onboarding)
    assert few.left_out["user not in the log"] == sum(int(user_id[1:]) >= 100 for user_id in trial.table["user_id"])
    assert len(few.table) + few.left_out["user not in the log"] == len(trial.table)


def test_of_a_policy_in_staging_nothing_was_sent_and_of_decisions_before_since_nothing_is_said(
    onboarding: Product, policy: Policy, rows: list[dict[str, Any]], late: datetime, tmp_path: Path
) -> None:
    staged = receipts(onboarding, replace(policy, mode=Mode.STAGING), n_users=60)
    export(tmp_path / "both", [*rows, *staged])
    raw = log(tmp_path / "raw", onboarding, last=late)
    both = trial_of_receipts(tmp_path / "both", raw, onboarding)
    assert both.left_out["in staging"] == 60
    assert set(both.table["decision_id"]) <= {row["decision_id"] for row in rows}
    with pytest.raises(NoReceiptsError, match="no receipts"):
        trial_of_receipts(tmp_path / "both", raw, onboarding, since=NOON + HOUR)


def test_who_was_drawn_to_never_and_is_written_to_by_a_later_decision_is_counted(
    onboarding: Product, rows: list[dict[str, Any]], late: datetime, trial: DrawnTrial, tmp_path: Path
) -> None:
    assert (trial.n_never_contacted, trial.notes) == (0, [])
    never = set(trial.table["decision_id"][trial.table["action"] == "none"])
    sent = next(row for row in rows if row["action"] == "send")
    plain = sent["receipt"].replace('"delays":{', '"was":{')  # as of a decision in which no moment was drawn
    people = [row["user_id"] for row in rows if row["decision_id"] in never]
    later = [sent | {"decision_id": f"later-{one}", "user_id": one, "as_of": NOON + HOUR, "receipt": plain} for one in people]
    export(tmp_path / "later", [*rows, *later])
    again = trial_of_receipts(tmp_path / "later", log(tmp_path / "again", onboarding, last=late), onboarding)
    assert again.n_never_contacted == len(never)
    assert again.notes == [f"of {len(never)} drawn to never, {len(never)} were written to within the horizon by a later decision"]


def test_without_drawn_delays_it_says_which_keys_to_name(onboarding: Product, policy: Policy, late: datetime, tmp_path: Path) -> None:
    export(tmp_path / "plain", receipts(onboarding, replace(policy, exploration=Exploration(arm_share=0.4)), n_users=5))
    raw = log(tmp_path / "raw", onboarding, last=late)
    with pytest.raises(TrainingError, match=r"of 5 receipts .* 0 have moments .* name exploration\.delay_share and exploration\.delays"):
        trial_of_receipts(tmp_path / "plain", raw, onboarding)


def test_where_never_is_not_drawn_the_trial_says_what_it_cannot_show(
    onboarding: Product, policy: Policy, late: datetime, tmp_path: Path
) -> None:
    export(tmp_path / "r", receipts(onboarding, replace(policy, exploration=replace(CHANCE, arm_share=0.0)), n_users=40))
    found = trial_of_receipts(tmp_path / "r", log(tmp_path / "raw", onboarding, last=late), onboarding)
    assert set(found.table["sent_propensity"]) == {1.0}
    assert found.notes == [
        "chance never chose to send nothing (exploration.arm_share): what waiting does can be learned, not what writing at all does"
    ]


def test_the_command_writes_the_file_and_says_what_is_in_it(
    onboarding: Product, rows: list[dict[str, Any]], late: datetime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from features.home import Home
    from training.commands.app import run

    home = Home(tmp_path / "home")
    export(home.receipts_dir(onboarding.name), rows)
    home.raw_dir(onboarding.name).parent.mkdir(parents=True, exist_ok=True)
    log(home.raw_dir(onboarding.name), onboarding, last=late)
    out = tmp_path / "trial.parquet"
    place = ["--product", str(ROOT / "products" / "onboarding"), "--home", str(tmp_path / "home")]
    assert run(["trial", *place, "--out", str(out), "--stale-after-days", "0"]) == 0
    said = capsys.readouterr().out
    assert f"{len(read_trial(out))} decisions in which chance chose when, or never" in said
    assert "(the policy chose the moment)" in said
    assert "too early to learn from: timing: the trial has" in said
    assert run(["trial", *place, "--out", str(out), "--since", "2027-01-01", "--stale-after-days", "0"]) == 1


@pytest.mark.parametrize(
    "damage", [lambda text: text[:200] + '"delays":{', lambda text: text.replace('"arms"', '"legs"').replace('"drawn"', '"drown"')]
)
def test_a_receipt_that_cannot_be_understood_is_named(
    onboarding: Product, rows: list[dict[str, Any]], late: datetime, tmp_path: Path, damage: Any
) -> None:
    broken = [{**rows[0], "receipt": damage(rows[0]["receipt"])}, *rows[1:]]
    export(tmp_path / "receipts", broken)
    with pytest.raises(NoReceiptsError, match=rows[0]["decision_id"]):
        trial_of_receipts(tmp_path / "receipts", log(tmp_path / "raw", onboarding, last=late), onboarding)
