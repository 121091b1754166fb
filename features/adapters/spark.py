"""The Spark executor: the batch kernel over a log of any size, each partition by itself. Needs the extra ``spark`` and Java 17.

Events and (user, as_of) rows are brought together by person and sorted, so that a partition can be worked off a few persons at a time:
memory does not grow with the partition. What is computed is `features.backfill.snapshots`, the same code as on one machine. Aliases are
followed on the driver, which holds them all: some hundred bytes each.
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

from features.backfill.alias_scan import ALIAS_PARTS_GLOB, ALIAS_SCHEMA, follow_aliases
from features.backfill.columns import columns_from_table
from features.backfill.raw_scan import PARTS_GLOB
from features.backfill.snapshots import snapshots_of
from features.core.product import Product

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Batches = Iterator[pa.RecordBatch]

ROWS_PER_CALL = 500_000
"""About how many events and rows are given to the kernel at once."""

_BROADCAST_ALIASES = 200_000
"""Up to how many aliases are copied to every worker rather than joined by shuffling the log once more."""

_ROW = pa.schema(
    [
        ("person", pa.string()),  # whom all ids of the row's user end up with: what rows are brought together by
        ("user_id", pa.string()),
        ("kind", pa.string()),
        ("occurred_at", pa.int64()),  # microseconds, so that no session's time zone has a say
        ("received_at", pa.int64()),
        ("event_hash", pa.int64()),
        ("subject_hash", pa.int64()),
        ("value", pa.int64()),
        ("session_hash", pa.int64()),
        ("known_at", pa.int64()),  # when the user knew of the event, or since when they are attached
        ("is_attached", pa.bool_()),
        ("holder", pa.string()),  # not null: an alias of the user
        ("as_of", pa.int64()),  # not null: a row of the spine
    ]
)
_OURS = ("person", "known_at", "is_attached", "holder", "as_of")  # not in a raw log
_INSTANTS = ("occurred_at", "received_at", "as_of")
_INSTANT = pa.timestamp("us", tz="UTC")
_IS_OWN, _IS_ATTACHED = False, True
_SPARK_TYPES = {pa.string(): "string", pa.int64(): "bigint", pa.bool_(): "boolean"}


def spark_vectors(
    spark: SparkSession,
    raw: DataFrame | str | Path,
    spine: DataFrame,
    product: Product,
    *,
    aliases: DataFrame | str | Path | None = None,
    rows_per_call: int = ROWS_PER_CALL,
) -> DataFrame:
    """Every feature at every (user_id, as_of) of a spine, as `features.backfill.snapshots.snapshots_of` gives them; in no order.

    Parameters
    ----------
    raw
        The raw log: its folder, or a DataFrame in its layout, duplicates allowed.
    spine
        With the columns ``user_id`` and ``as_of`` (timestamp); a row that is there twice comes out twice.
    aliases
        The log of aliases: its folder, or a DataFrame in its layout, duplicates allowed. Default: where ``raw`` is a folder of this
        machine, ``aliases`` beside it, as without Spark; else none.
    rows_per_call
        About how many events and rows are in memory at once; one person's are never divided.

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
    from pyspark.sql import functions

    events = _aligned(raw if not isinstance(raw, str | Path) else _read(spark, raw)).withColumn("known_at", functions.col("received_at"))
    links, held = follow_aliases(_aliases(spark, raw, aliases))
    rows = events.unionByName(_aligned(spine))
    if links.num_rows:
        rows = _with_aliases(spark, rows, links, held)
    # Few rows and Spark would still make 200 partitions; adaptive execution joins them, as it may: a person stays in one.
    by_person = rows.repartition("person").sortWithinPartitions("person")
    return by_person.mapInArrow(_worker(product, rows_per_call), _output_schema(product))


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


def whole_persons(batches: Batches, rows_per_call: int) -> Iterator[pa.Table]:
    """Rows sorted by person as tables of at least ``rows_per_call`` rows (the last one excepted) that never divide a person.

    Examples
    --------
    >>> def batch(persons):
    ...     return pa.RecordBatch.from_arrays([pa.array(list(persons))], ["person"])
    >>> tables = whole_persons(iter([batch("aab"), batch("b"), batch("bc"), batch("d")]), 2)
    >>> ["".join(table["person"].to_pylist()) for table in tables]
    ['aa', 'bbb', 'cd']
    """
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows == 0:
            continue
        persons = batch.column("person")
        begins = pc.index(persons, persons[-1]).as_py()  # where the last person of the batch begins, if they begin here
        goes_on = begins == 0 and held and held[-1].column("person")[-1] == persons[-1]
        if not goes_on and sum(one.num_rows for one in held) + begins >= rows_per_call:
            yield pa.Table.from_batches([*held, batch.slice(0, begins)])
            held = [batch.slice(begins)]
        else:
            held.append(batch)
    if held:
        yield pa.Table.from_batches(held)


def _worker(product: Product, rows_per_call: int) -> Callable[[Batches], Batches]:
    def work(batches: Batches) -> Batches:
        for rows in whole_persons(batches, rows_per_call):
            yield from _answer(rows.cast(_ROW), product).to_batches()

    return work


def _answer(rows: pa.Table, product: Product) -> pa.Table:
    """The snapshots of some persons from all of their rows."""
    is_asked, is_link = pc.is_valid(rows["as_of"]), pc.is_valid(rows["holder"])
    spine = rows.filter(is_asked).select(["user_id", "as_of"])
    links = rows.filter(is_link).select(["user_id", "holder", "known_at"]).rename_columns(["previous_id", "user_id", "known_at"])
    events = rows.filter(pc.invert(pc.or_(is_asked, is_link))).drop_columns(["person", "holder", "as_of"])
    raw = columns_from_table(events, product.catalogue.kinds, links)
    return snapshots_of(raw, product, spine.set_column(1, "as_of", spine["as_of"].cast(_INSTANT)))


def _aliases(spark: SparkSession, raw: DataFrame | str | Path, aliases: DataFrame | str | Path | None) -> pa.Table:
    """The log of aliases, here."""
    if aliases is None and isinstance(raw, str | Path) and "://" not in str(raw):
        aliases = Path(raw).with_name("aliases")
    if aliases is None or (isinstance(aliases, Path) and next(aliases.glob(ALIAS_PARTS_GLOB), None) is None):
        return ALIAS_SCHEMA.empty_table()
    frame = spark.read.parquet(str(aliases)) if isinstance(aliases, str | Path) else aliases
    return frame.select(ALIAS_SCHEMA.names).toArrow().cast(ALIAS_SCHEMA)


def _with_aliases(spark: SparkSession, rows: DataFrame, links: pa.Table, held: pa.Table) -> DataFrame:
    """Rows with each event once more for everyone who holds it, as `features.backfill.raw_scan.open_raw_log` gives them, and the links."""
    from pyspark.sql import functions

    holders, ends = _frame(spark, held), _frame(spark, _ends(links, held))
    if held.num_rows <= _BROADCAST_ALIASES:
        holders, ends = functions.broadcast(holders), functions.broadcast(ends)
    holders = holders.withColumnsRenamed({"holder": "whom", "known_at": "since"})
    known = {
        "user_id": functions.col("whom"),
        "known_at": functions.greatest("received_at", "since"),
        "is_attached": functions.lit(_IS_ATTACHED),
    }
    events = rows.where(functions.col("as_of").isNull())
    moved = events.join(holders, events["user_id"] == holders["id"]).withColumns(known)
    linked = _aligned(_frame(spark, links).withColumnsRenamed({"user_id": "holder", "previous_id": "user_id"}))
    everything = rows.unionByName(moved.select(rows.columns)).unionByName(linked)
    found = everything.join(ends, everything["user_id"] == ends["id"], "left").withColumn("person", functions.coalesce("end", "user_id"))
    return found.select(rows.columns)


def _ends(links: pa.Table, held: pa.Table) -> pa.Table:
    """``id`` and ``end``: whom the chain of each attached id ends with, the one holder who is attached to nobody."""
    is_end = pc.invert(pc.is_in(held["holder"], value_set=links["previous_id"].combine_chunks()))
    return held.filter(is_end).select(["id", "holder"]).rename_columns(["id", "end"])


def _frame(spark: SparkSession, table: pa.Table) -> DataFrame:
    """A table as a DataFrame, instants as microseconds."""
    instants = {field.name for field in table.schema if pa.types.is_timestamp(field.type)}
    columns = [table[name].cast(pa.int64()) if name in instants else table[name] for name in table.column_names]
    return spark.createDataFrame(pa.table(columns, names=table.column_names))


def _read(spark: SparkSession, raw: str | Path) -> DataFrame:
    """The part files of a raw log; a local folder without any is a log without events."""
    if isinstance(raw, Path) and next(raw.glob(PARTS_GLOB), None) is None:
        return spark.createDataFrame([], ", ".join(f"{field.name} {_SPARK_TYPES[field.type]}" for field in _ROW if field.name not in _OURS))
    return spark.read.parquet(str(raw))


def _aligned(rows: DataFrame) -> DataFrame:
    """The columns of `_ROW`; those that are not there are null."""
    from pyspark.sql import functions

    def column(field: pa.Field) -> Any:
        if field.name == "person":
            return functions.col("user_id").alias("person")
        if field.name == "is_attached":
            return functions.lit(_IS_OWN).alias("is_attached")
        if field.name not in rows.columns:
            return functions.lit(None).cast(_SPARK_TYPES[field.type]).alias(field.name)
        given = functions.col(field.name)
        is_instant = field.name in _INSTANTS and rows.schema[field.name].dataType.typeName() == "timestamp"
        return (functions.unix_micros(given) if is_instant else given.cast(_SPARK_TYPES[field.type])).alias(field.name)

    return rows.select([column(field) for field in _ROW])


def _output_schema(product: Product) -> str:
    marks = "user_id string, event_timestamp timestamp, snapshot_as_of timestamp, feature_fingerprint string"
    return ", ".join([marks, *(f"`{name}` double" for name in product.catalogue.feature_names)])
