"""Whatever was promoted and gone back from, in whatever order: rollbacks come to an end, and never to the same version twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import mlflow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.core.product import Product
from tests.mlflow_store import working_in
from tests.small_model import write_small_bundle
from tests.unit.training import synthetic
from training.aliases import champions_before, make_champion, roll_back
from training.errors import PromotionRefusedError
from training.registry import CHAMPION, HISTORY, PREVIOUS, REPLACES, describe_aliases, registered_name, version_of
from training.tracking import prepare_tracking

ROLLBACK = 0
MOVES = st.lists(st.integers(ROLLBACK, 4), min_size=1, max_size=8)
"""Promotions of versions 1 to 4, and rollbacks."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model that can be served, in a store of its own."""
    folder = tmp_path_factory.mktemp("rollbacks")
    with working_in(folder):
        prepare_tracking()
        write_small_bundle(synthetic.product(), Path(folder) / "model" / "artifacts" / "bundle", n_rounds=2)
        yield (folder / "model").as_uri()


def with_versions(bundle: str, *, n_versions: int = 4) -> Product:
    """A product of a name that nothing is registered for but the versions 1 to 4, all without a place."""
    product = synthetic.product(f"p{uuid4().hex}")
    client, name = mlflow.MlflowClient(), registered_name(product.name)
    client.create_registered_model(name)
    for _ in range(n_versions):
        client.create_model_version(name, source=bundle)
    return product


def champion(name: str) -> str | None:
    return describe_aliases(name).get(CHAMPION)


def promote(name: str, version: str) -> None:
    make_champion(name, version, replacing=champion(name), because="a law says so")


def gone_back(product: Product) -> list[str]:
    """Champions that rollbacks lead to until they end."""
    found: list[str] = []
    while len(found) < 20:
        try:
            found.append(roll_back(product, because="a law says so")[1])
        except PromotionRefusedError as exc:
            assert "nothing further back" in str(exc)  # noqa: PT017 - the end that every series has
            break
    return found


def make(product: Product, moves: list[int]) -> list[str]:
    """Make the moves; returns the stack that they should leave, the champion last, by the definition."""
    stack: list[str] = []
    name = registered_name(product.name)
    for version in map(str, moves):
        if version == str(ROLLBACK):
            if len(stack) > 1:
                assert roll_back(product, because="a law says so") == (stack[-1], stack[-2])
                stack.pop()
        elif stack[-1:] != [version]:
            promote(name, version)
            stack = [*(each for each in stack if each != version), version]
        assert champion(name) == (stack[-1] if stack else None)
        assert describe_aliases(name).get(PREVIOUS) == (stack[-2] if len(stack) > 1 else None)
    return stack


@settings(max_examples=6)
@given(moves=MOVES)
def test_rollbacks_end_and_never_come_to_a_version_twice(bundle: str, moves: list[int]) -> None:
    product = with_versions(bundle)
    stack = make(product, [1, *moves])
    found = gone_back(product)
    assert found == stack[-2::-1]
    assert len({*found, stack[-1]}) == len(stack)
    if found:  # forward again: back to whom it replaced
        promote(registered_name(product.name), stack[-1])
        assert gone_back(product) == found[-1:]


def test_of_a_version_that_was_champion_twice_the_last_time_counts(bundle: str) -> None:
    product = with_versions(bundle)
    make(product, [1, 2, 3, 1])
    assert gone_back(product) == ["3", "2"]


def test_a_registry_of_an_earlier_release_is_read_as_far_as_it_is_no_circle(bundle: str) -> None:
    product = with_versions(bundle)
    client, name = mlflow.MlflowClient(), registered_name(product.name)
    for version, replaced in (("1", "3"), ("2", "1"), ("3", "2"), ("4", "3")):  # 1, 2, 3, again 1, 3 once more, then 4
        client.set_model_version_tag(name, version, REPLACES, replaced)
    client.set_registered_model_alias(name, CHAMPION, "4")
    assert champions_before(version_of(name, "4")) == ["3", "2", "1"]
    assert gone_back(product) == ["3", "2", "1"]


def test_what_an_earlier_release_promoted_since_is_what_counts(bundle: str) -> None:
    product = with_versions(bundle)
    client, name = mlflow.MlflowClient(), registered_name(product.name)
    make(product, [1, 2, 3])
    client.set_model_version_tag(name, "3", REPLACES, "1")  # it writes no history
    assert version_of(name, "3").tags[HISTORY] == "2 1"
    assert champions_before(version_of(name, "3")) == ["1"]
