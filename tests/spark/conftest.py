"""One local Spark for all of its tests; where Spark or Java is missing, every test here says so and is skipped."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def missing() -> str:
    """What Spark needs and is not here; empty: nothing."""
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed: make setup-spark"
    return "" if shutil.which("java") else "there is no java on the path: install Java 17"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "spark":
            item.add_marker(pytest.mark.spark)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Two cores of this machine; listens on the loopback address only."""
    if why := missing():
        pytest.skip(why)
    from features.adapters.spark import local_session

    folder = tmp_path_factory.mktemp("spark")
    settings = {"spark__local__dir": str(folder), "spark__sql__warehouse__dir": str(folder / "warehouse")}
    with local_session(cores=2, spark__sql__shuffle__partitions="3", spark__log__level="ERROR", **settings) as session:
        yield session
