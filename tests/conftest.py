"""Fixtures shared by all tests: one bundled Redis and one feature store per test process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import prometheus_client  # noqa: F401 - before Feast, whose import would turn every metric into a file shared by all tests
import pytest
import redis
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from feast import FeatureStore

    from features.adapters.embedded_redis import EmbeddedRedis
    from features.core.product import Product

# No deadline: the first example that reaches a compiled function compiles it. In CI the same examples every time.
settings.register_profile("here", deadline=None, max_examples=60)
settings.register_profile("long", deadline=None, max_examples=400)  # make test-faults
settings.register_profile("ci", parent=settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A running bundled Redis, shared by the tests of one process (one per xdist worker)."""
    from features.adapters.embedded_redis import EmbeddedRedis

    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """Address of the shared bundled Redis, emptied for this test."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def onboarding() -> Product:
    """The shipped onboarding product."""
    from features.declarations.product_file import load_product

    return load_product(Path(__file__).parents[1] / "products" / "onboarding")


@pytest.fixture(scope="session")
def session_feature_store(redis_server: EmbeddedRedis, onboarding: Product, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """The onboarding product's feature store over the shared Redis; prefer `feature_store`, whose Redis is empty."""
    from features.adapters.feast_store import open_store
    from features.home import Home

    return open_store(onboarding, Home(tmp_path_factory.mktemp("home")), redis_server.url)


@pytest.fixture
def feature_store(session_feature_store: FeatureStore, redis_url: str) -> FeatureStore:
    """The onboarding product's feature store over the shared Redis, emptied for this test. Its offline files stay."""
    return session_feature_store
