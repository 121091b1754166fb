"""Registering a product with Feast: once for each change, and without anyone reading half a registry."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from features.adapters.feast_store import FeastProfileStore, FeastTimelineStore, open_store
from features.core.catalogue import Catalogue
from features.home import Home
from features.ports import StoreError

NOWHERE = "redis://127.0.0.1:1/0"


def file_number(path: Path) -> int:
    """Changes whenever the file is replaced."""
    return path.stat().st_ino


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def test_a_product_is_registered_once_and_again_when_it_changes(onboarding, home):
    open_store(onboarding, home, NOWHERE)
    first = file_number(home.registry_file("onboarding"))
    open_store(onboarding, home, NOWHERE)
    assert file_number(home.registry_file("onboarding")) == first

    fewer = replace(onboarding, catalogue=Catalogue(kinds=onboarding.catalogue.kinds, features=onboarding.catalogue.features[:3]))
    store = open_store(fewer, home, NOWHERE)
    assert file_number(home.registry_file("onboarding")) != first
    assert len(store.get_on_demand_feature_view("behaviour").features) == 3
    services = {service.name for service in store.list_feature_services()}
    assert services == {"serving", f"training_{onboarding.catalogue.fingerprint}", f"training_{fewer.catalogue.fingerprint}"}


def test_several_that_start_at_once_register_once_and_all_can_read(onboarding, home):
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_store(onboarding, home, NOWHERE), range(4)))
    assert all(store.get_feature_view("timeline").name == "timeline" for store in stores)
    assert not list(home.feast_dir("onboarding").glob("*.new"))


def test_a_product_without_profile_attributes_has_empty_profiles(onboarding, home):
    bare = replace(onboarding, profile=(), segments=())
    store = open_store(bare, home, NOWHERE)
    profiles = FeastProfileStore(store, bare)
    assert profiles.read(["ada", "bob"]) == [{}, {}]
    assert FeastTimelineStore(store, kinds=(), clock_us=lambda: 1).merge({}) is None
    with pytest.raises(StoreError, match="profile attribute 'plan' is not declared"):
        profiles.write({"ada": {"plan": "pro"}}, changed_us=1)


@pytest.mark.parametrize(
    ("name", "value", "expected"), [("plan", 3, "a category"), ("consent", "yes", "a boolean"), ("consent", 1, "a boolean")]
)
def test_a_value_of_another_type_is_refused_before_anything_is_written(feature_store, onboarding, name, value, expected):
    profiles = FeastProfileStore(feature_store, onboarding)
    with pytest.raises(StoreError, match=rf"user 'bob': profile attribute '{name}' is .*, expected {expected}"):
        profiles.write({"ada": {"plan": "pro"}, "bob": {name: value}}, changed_us=1)
    assert profiles.read(["ada"]) == [{}]
