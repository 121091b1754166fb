from __future__ import annotations

import csv
import dataclasses
import gzip
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import orjson
import pytest

from features.core.catalogue import Catalogue
from training.errors import SimulationError
from training.simulate import simulate

END = datetime(2025, 6, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(onboarding, tmp_path_factory):
    return simulate(onboarding, tmp_path_factory.mktemp("incoming"), n_users=300, seed=7, end=END, days=40)


@pytest.fixture(scope="module")
def lines(world):
    return gzip.decompress(world.events_file.read_bytes()).splitlines()


@pytest.fixture(scope="module")
def rows(lines):
    """Those that are whole."""
    parsed = []
    for line in lines:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        parsed += [row] if row["event_id"] != "broken" else []
    return parsed


def test_the_same_seed_and_day_give_the_same_bytes(onboarding, world, tmp_path):
    again = simulate(onboarding, tmp_path, n_users=300, seed=7, end=END, days=40)
    assert again.events_file.read_bytes() == world.events_file.read_bytes()
    assert again.profiles_file.read_bytes() == world.profiles_file.read_bytes()


def test_another_seed_gives_another_world(onboarding, world, tmp_path):
    other = simulate(onboarding, tmp_path, n_users=300, seed=8, end=END, days=40)
    assert other.events_file.read_bytes() != world.events_file.read_bytes()


def test_a_later_end_of_the_same_day_only_adds(onboarding, rows, tmp_path):
    later = simulate(onboarding, tmp_path, n_users=300, seed=7, end=END + timedelta(hours=6), days=40)
    longer = {line for line in gzip.decompress(later.events_file.read_bytes()).splitlines() if b'"broken"' not in line}
    assert {orjson.dumps(row) for row in rows} < longer


def test_the_counts_are_those_of_the_file(world, lines, rows):
    assert (len(lines), len(rows)) == (world.n_rows, world.n_rows - world.n_broken)
    assert len({row["event_id"] for row in rows}) == world.n_events == len(rows) - world.n_doubled
    assert world.n_doubled > 0


def test_rows_come_in_order_of_arrival_and_not_of_happening(rows):
    arrived = [row["received_at"] for row in rows]
    happened = [row["occurred_at"] for row in rows]
    assert arrived == sorted(arrived)
    assert max(arrived) <= END.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert any(later < earlier for earlier, later in pairwise(happened))


def test_clocks_run_ahead_by_less_than_is_tolerated(rows):
    ahead = [datetime.fromisoformat(row["occurred_at"]) - datetime.fromisoformat(row["received_at"]) for row in rows]
    assert timedelta(0) < max(ahead) < timedelta(minutes=5)


def test_every_kind_is_there_with_what_it_must_carry(onboarding, rows):
    kinds = {kind.name: kind for kind in onboarding.catalogue.kinds}
    not_simulated = {"cursor_frozen", "save_clicked", "message_dismissed", "ticket_opened", "ticket_closed", "plan_upgraded"}  # rules' own
    assert set(kinds) - not_simulated == {row["kind"] for row in rows}
    for row in rows:
        kind = kinds[row["kind"]]
        assert ("subject" in row) == (kind.subject is not None)
        assert ("value" in row) == (kind.value_unit is not None)
        assert row.get("value", 1) > 0


def test_a_sign_up_comes_before_everything_else(rows):
    first = {}
    for row in rows:
        first[row["user_id"]] = min(first.get(row["user_id"], "9"), row["occurred_at"])
    signups = {row["user_id"]: row["occurred_at"] for row in rows if row["kind"] == "signup"}
    late = [user for user, at in signups.items() if at[:19] > first[user][:19]]
    assert late == []


def test_base_rates_are_those_of_a_product(world, rows):
    kinds = Counter(row["kind"] for row in rows)
    assert 0.01 < kinds["login_failed"] / (kinds["login"] + kinds["login_failed"]) < 0.08
    left = world.people.last_day < world.people.motivation.shape[1]
    assert 0.4 < left.mean() < 0.8


def test_nobody_is_seen_after_the_day_of_leaving(world, rows):
    number = {user: place for place, user in enumerate(world.user_ids)}
    for row in rows:
        day = (datetime.fromisoformat(row["occurred_at"]) - world.start) / timedelta(days=1)
        assert day < world.people.last_day[number[row["user_id"]]] + 2.0  # a local day may end the day after, in UTC


def test_leaving_follows_the_latent_states(world):
    people = world.people
    left = people.last_day < people.motivation.shape[1]
    at_start = people.motivation[np.arange(len(left)), people.joined_day]
    early = people.joined_day < 25
    assert at_start[left & early].mean() < at_start[~left & early].mean() - 0.3


def test_profiles_know_everyone_who_came_and_have_two_broken_rows(world, rows):
    with world.profiles_file.open(newline="") as file:
        profiles = list(csv.DictReader(file))
    assert {row["user_id"] for row in rows} <= {row["user_id"] for row in profiles}
    assert sum(row["user_id"] == "" for row in profiles) == 1
    assert sum(row["consent"] == "maybe" for row in profiles) == 1
    consent = Counter(row["consent"] for row in profiles)
    assert consent["false"] > 0


def test_progress_only_grows_and_ends_whole(onboarding, tmp_path):
    seen = []
    simulate(onboarding, tmp_path, n_users=20, seed=1, end=END, days=10, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (10, 10)


@pytest.mark.parametrize(("n_users", "days"), [(1, 1), (1, 30), (30, 1)])
def test_a_tiny_world_can_be_simulated(onboarding, tmp_path, n_users, days):
    assert simulate(onboarding, tmp_path, n_users=n_users, seed=1, end=END, days=days).events_file.is_file()


def test_a_product_without_the_simulated_kinds_is_refused(onboarding, tmp_path):
    other = dataclasses.replace(onboarding, catalogue=Catalogue(kinds=onboarding.catalogue.kinds[1:], features=()))
    with pytest.raises(SimulationError, match="product onboarding: kinds: signup not declared, expected what is simulated; simulate"):
        simulate(other, tmp_path, n_users=1, seed=1, end=END)


@pytest.mark.parametrize(("n_users", "days", "name"), [(0, 5, "n_users"), (5, 0, "days")])
def test_too_small_numbers_are_refused(onboarding, tmp_path, n_users, days, name):
    with pytest.raises(SimulationError, match=f"{name}: got 0, expected a whole number from 1 to"):
        simulate(onboarding, tmp_path, n_users=n_users, seed=1, end=END, days=days)
