"""Spark equals the oracle on products and histories that Hypothesis draws: at past instants, several users and products a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.adapters.raw_log import ParquetRawLog
from features.adapters.spark import spark_vectors
from features.core.catalogue import Catalogue
from features.core.event import Event, to_us
from features.core.product import Label, Product
from tests.laws.catalogues import catalogues
from tests.laws.histories import histories, instants
from tests.oracle import oracle_vector

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def product_of(catalogue: Catalogue) -> Product:
    label = Label(activity=(catalogue.kinds[0].name,), horizon=timedelta(days=1))
    return Product(name="law", description="", catalogue=catalogue, causes=(), label=label)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(histories(max_size=15), min_size=1, max_size=6),
    st.lists(catalogues(), min_size=1, max_size=2),
    st.lists(instants(), min_size=1, max_size=4, unique=True),
)
def test_spark_equals_the_oracle(spark: SparkSession, users: list[list[Event]], products: list[Catalogue], ats: list) -> None:
    named = [replace(event, user_id=f"user {user}") for user, events in enumerate(users) for event in events]
    rows = [(f"user {user}", at) for user in range(len(users) + 1) for at in ats]
    spine = pa.table({"user_id": [user for user, _ in rows], "as_of": pa.array([at for _, at in rows], pa.timestamp("us", tz="UTC"))})
    with TemporaryDirectory() as folder:
        raw_dir = Path(folder) / "raw"
        ParquetRawLog(raw_dir).append(named)
        for catalogue in products:
            found = spark_vectors(spark, raw_dir, spark.createDataFrame(spine.to_pandas()), product_of(catalogue)).toArrow()
            assert_oracle(found, users, rows, catalogue)


def assert_oracle(found: pa.Table, users: list[list[Event]], rows: list[tuple[str, datetime]], catalogue: Catalogue) -> None:
    by_row = {(row["user_id"], to_us(row["snapshot_as_of"])): row for row in found.to_pylist()}
    assert len(by_row) == found.num_rows == len(rows)
    for user_id, at in rows:
        number = int(user_id.split()[1])
        expected = oracle_vector(users[number] if number < len(users) else [], to_us(at), catalogue)
        row = by_row[user_id, to_us(at)]
        assert np.array_equal([row[name] for name in catalogue.feature_names], expected, equal_nan=True)
