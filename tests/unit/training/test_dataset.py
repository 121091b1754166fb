"""From a raw log to rows: the spine's own, mature only, in order; and clear words where there are none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.backfill.spine import SPINE_SCHEMA
from features.core.product import Product
from features.declarations.log import FileFormat, FileSyntax, LabelsLog, TimeColumn
from features.home import Home
from tests.unit.training import synthetic
from training.dataset import IMPLIED, build_frame, features_join, horizon_of, label_source
from training.errors import EmptyLogError, LeakError, NoMatureLabelsError, UnknownLabelsError
from training.frame import AS_OF, USER, TrainingFrame

LABELS = LabelsLog(
    name="outcomes",
    syntax=FileSyntax(format=FileFormat.CSV),
    user_id="user",
    start=TimeColumn(column="start"),
    label="label",
    dropped_out_values=("1",),
    stayed_values=("0",),
    as_of_after=timedelta(days=3),
    known_after=timedelta(days=10),
)


def test_rows_are_ordered_by_as_of_and_their_outcome_lies_inside_the_log(frame: TrainingFrame) -> None:
    assert frame.rows[AS_OF].is_monotonic_increasing
    assert frame.rows[AS_OF].max() + frame.horizon <= synthetic.BEGIN + timedelta(days=60)
    assert 0.02 < frame.outcomes.mean() < 0.6
    assert not frame.rows.duplicated([USER, AS_OF]).any()


def test_an_empty_log_is_refused(tmp_path: Path, product: Product) -> None:
    with pytest.raises(
        EmptyLogError, match=r"raw log of product tiny in .* has no events, expected some; import a log first: stillhere import"
    ):
        build_frame(product, synthetic.home_at(tmp_path), join=features_join)


def test_a_log_shorter_than_the_horizon_has_no_mature_labels(tmp_path: Path, product: Product) -> None:
    home = synthetic.home_at(tmp_path)
    synthetic.fill(home, product, n_users=20, n_days=4, seed=1)
    with pytest.raises(NoMatureLabelsError, match=r"log ends before the first horizon \(5 days\) does"):
        build_frame(product, home, join=features_join)


def test_stated_labels_are_used_where_the_product_declares_them(home: Home, product: Product) -> None:
    stating = replace(product, logs=(LABELS,))
    write_labels(home, stating, [("u0001", 20, True, 27), ("u0002", 21, False, 28), ("u0003", 22, False, 9999)])
    frame = build_frame(stating, home, join=features_join, now=datetime(2026, 6, 1, tzinfo=UTC))
    assert frame.rows[USER].tolist() == ["u0001", "u0002"]  # the third is not known yet
    assert frame.outcomes.tolist() == [True, False]
    assert frame.horizon == timedelta(days=7)
    assert len(build_frame(stating, home, labels=IMPLIED, join=features_join).rows) > 1000


def test_stated_labels_that_were_not_imported_are_missed(tmp_path: Path, product: Product) -> None:
    home, stating = synthetic.home_at(tmp_path), replace(product, logs=(LABELS,))
    synthetic.fill(home, stating, n_users=20, n_days=4, seed=1)
    with pytest.raises(NoMatureLabelsError, match="none of 0 labels of the log outcomes is known yet"):
        build_frame(stating, home, join=features_join)


def test_an_unknown_labels_log_is_refused(product: Product) -> None:
    with pytest.raises(UnknownLabelsError, match=r"no labels log 'other', expected one of \['implied', 'outcomes'\]"):
        label_source(replace(product, logs=(LABELS,)), "other")


def test_the_horizon_is_the_labels_own(product: Product) -> None:
    assert horizon_of(product, None) == product.label.horizon
    assert horizon_of(product, LABELS) == timedelta(days=7)


def test_snapshots_of_other_rows_are_refused(home: Home, product: Product) -> None:
    def shuffled(of: Product, at: Home, spine: pa.Table, snapshots: pa.Table) -> object:
        return features_join(of, at, spine, snapshots.take(pa.array(range(snapshots.num_rows))[::-1]))

    with pytest.raises(LeakError, match="snapshots are not of the spine's own rows"):
        build_frame(product, home, join=shuffled)


def write_labels(home: Home, product: Product, rows: list[tuple[str, int, bool, int]]) -> None:
    path = home.labels_file(product.name, LABELS.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    users, days, outcomes, known = zip(*rows, strict=True)
    instants = [[synthetic.BEGIN + timedelta(days=day) for day in column] for column in (days, known)]
    pq.write_table(pa.table([list(users), instants[0], list(outcomes), instants[1]], names=SPINE_SCHEMA.names).cast(SPINE_SCHEMA), path)
