"""The Spark executor: the batch kernel over a log of any size, each partition by itself. Needs the extra ``spark`` and Java 17.

Events and (user, as_of) rows are brought together by user and sorted, so that a partition can be worked off a few users at a time: memory
does not grow with the partition. What is computed is `features.backfill.snapshots`, the same code as on one machine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from features.backfill.columns import columns_from_table
from features.backfill.raw_scan import PARTS_GLOB
from features.backfill.snapshots import snapshots_of
from features.core.product import Product

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Batches = Iterator[pa.RecordBatch]

ROWS_PER_CALL = 500_000
"""About how many events and rows are given to the kernel at once."""

_ROW = pa.schema(
    [
        ("user_id", pa.string()),
        ("kind", pa.string()),
        ("occurred_at", pa.int64()),  # microseconds, so that no session's time zone has a say
        ("received_at", pa.int64()),
        ("event_hash", pa.int64()),
        ("subject_hash", pa.int64()),
        ("value", pa.int64()),
        ("session_hash", pa.int64()),
        ("as_of", pa.int64()),  # null: an event; else all but user_id is null
    ]
)
_INSTANTS = ("occurred_at", "received_at", "as_of")
_SPARK_TYPES = {pa.string(): "string", pa.int64(): "bigint"}


def spark_vectors(
    spark: SparkSession, raw: DataFrame | str | Path, spine: DataFrame, product: Product, *, rows_per_call: int = ROWS_PER_CALL
) -> DataFrame:
    """Every feature at every (user_id, as_of) of a spine, as `features.backfill.snapshots.snapshots_of` gives them; in no order.

    Parameters
    ----------
    raw
        The raw log: its folder, or a DataFrame in its layout, duplicates allowed.
    spine
        With the columns ``user_id`` and ``as_of`` (timestamp); a row that is there twice comes out twice.
    rows_per_call
        About how many events and rows are in memory at once; one user's are never divided.

    Returns
    -------
    DataFrame
        ``user_id``, ``event_timestamp`` and ``snapshot_as_of`` (both as_of), ``feature_fingerprint``, and one double column per feature.

    Examples
    --------
    In a session of yours, or in a `local_session`::

        vectors = spark_vectors(spark, ".stillhere/products/onboarding/raw", spine, load_product(Path("products/onboarding")))
        vectors.write.parquet("snapshots")
    """
    events = raw if not isinstance(raw, str | Path) else _read(spark, raw)
    rows = _aligned(events).unionByName(_aligned(spine))
    # Few rows and Spark would still make 200 partitions; adaptive execution joins them, as it may: a user stays in one.
    by_user = rows.repartition("user_id").sortWithinPartitions("user_id")
    return by_user.mapInArrow(_worker(product, rows_per_call), _output_schema(product))


@contextmanager
def local_session(*, cores: int = 2, **settings: str) -> Iterator[SparkSession]:
    """A Spark of this machine alone, stopped at the end: it listens on the loopback address only and has no web interface.

    Parameters
    ----------
    settings
        More of Spark's settings, dots written as ``__``: ``spark__driver__memory="4g"``.
    """
    from pyspark.sql import SparkSession

    fixed = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
    }
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # its workers need what is installed here, not the system's Python
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master(f"local[{cores}]").appName("stillhere")
    for name, value in (fixed | {key.replace("__", "."): value for key, value in settings.items()}).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def whole_users(batches: Batches, rows_per_call: int) -> Iterator[pa.Table]:
    """Rows sorted by user as tables of at least ``rows_per_call`` rows (the last one excepted) that never divide a user.

    Examples
    --------
    >>> def batch(users):
    ...     return pa.RecordBatch.from_arrays([pa.array(list(users))], ["user_id"])
    >>> tables = whole_users(iter([batch("aab"), batch("b"), batch("bc"), batch("d")]), 2)
    >>> ["".join(table["user_id"].to_pylist()) for table in tables]
    ['aa', 'bbb', 'cd']
    """
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows == 0:
            continue
        users = batch.column("user_id")
        begins = pc.index(users, users[-1]).as_py()  # where the last user of the batch begins, if it begins here
        goes_on = begins == 0 and held and held[-1].column("user_id")[-1] == users[-1]
        if not goes_on and sum(one.num_rows for one in held) + begins >= rows_per_call:
            yield pa.Table.from_batches([*held, batch.slice(0, begins)])
            held = [batch.slice(begins)]
        else:
            held.append(batch)
    if held:
        yield pa.Table.from_batches(held)


def _worker(product: Product, rows_per_call: int) -> Callable[[Batches], Batches]:
    def work(batches: Batches) -> Batches:
        for rows in whole_users(batches, rows_per_call):
            yield from _answer(rows.cast(_ROW), product).to_batches()

    return work


def _answer(rows: pa.Table, product: Product) -> pa.Table:
    """The snapshots of some users from all of their rows."""
    is_event = pc.is_null(rows["as_of"])
    spine = rows.filter(pc.invert(is_event)).select(["user_id", "as_of"])
    events = rows.filter(is_event).drop_columns("as_of")
    as_of = spine["as_of"].cast(pa.timestamp("us", tz="UTC"))
    raw = columns_from_table(events, product.catalogue.kinds)
    return snapshots_of(raw, product, spine.set_column(1, "as_of", as_of))


def _read(spark: SparkSession, raw: str | Path) -> DataFrame:
    """The part files of a raw log; a local folder without any is a log without events."""
    if isinstance(raw, Path) and next(raw.glob(PARTS_GLOB), None) is None:
        return spark.createDataFrame([], ", ".join(f"{field.name} {_SPARK_TYPES[field.type]}" for field in _ROW if field.name != "as_of"))
    return spark.read.parquet(str(raw))


def _aligned(rows: DataFrame) -> DataFrame:
    """The columns of `_ROW`; those that are not there are null."""
    from pyspark.sql import functions

    def column(field: pa.Field) -> Any:
        if field.name not in rows.columns:
            return functions.lit(None).cast(_SPARK_TYPES[field.type]).alias(field.name)
        given = functions.col(field.name)
        is_instant = field.name in _INSTANTS and rows.schema[field.name].dataType.typeName() == "timestamp"
        return (functions.unix_micros(given) if is_instant else given.cast(_SPARK_TYPES[field.type])).alias(field.name)

    return rows.select([column(field) for field in _ROW])


def _output_schema(product: Product) -> str:
    marks = "user_id string, event_timestamp timestamp, snapshot_as_of timestamp, feature_fingerprint string"
    return ", ".join([marks, *(f"`{name}` double" for name in product.catalogue.feature_names)])
