"""The MOOC data as tasks: imported, built by the batch kernel, and with what was known of each course at each instant."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import RawColumns, read_columns
from features.backfill.snapshots import snapshots_of
from features.backfill.spine import log_spine, read_labels
from features.core.product import Product
from features.declarations.log import LabelsLog
from features.home import Home
from features.ingest.import_log import ImportTarget, declared_files, import_file
from training.dataset import features_join, frame_of
from training.frame import AS_OF, USER, TrainingFrame

ACTIVITIES = ("access", "discussion", "navigate", "page_close", "problem", "video", "wiki")
COURSE_DAYS = 30
_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One question: its rows, and the course of each row."""

    name: str
    frame: TrainingFrame
    course: npt.NDArray[np.str_]
    course_start: npt.NDArray[np.str_]  # ISO dates
    build_s: float

    def at(self, chosen: npt.NDArray[np.bool_]) -> Task:
        """Only these rows."""
        frame = self.frame.at(np.flatnonzero(chosen))
        return replace(self, frame=frame, course=self.course[chosen], course_start=self.course_start[chosen])

    @property
    def cohorts(self) -> npt.NDArray[np.str_]:
        """Course of each row, named so that courses sort by when they start."""
        return np.char.add(np.char.add(self.course_start, " "), self.course)


def import_everything(product: Product, home: Home, profiles: MemoryProfileStore, data: Path) -> float:
    """Import every declared file into a raw log; seconds it took."""
    started_s = time.perf_counter()
    target = ImportTarget(
        raw_log=ParquetRawLog(home.raw_dir(product.name)),
        timelines=MemoryTimelineStore(kinds=product.catalogue.kinds, clock_us=lambda: 0),
        profiles=profiles,
        labels_dir=home.labels_file(product.name, "any").parent,
        rejected_dir=home.rejected_dir(product.name),
    )
    home.raw_dir(product.name).mkdir(parents=True, exist_ok=True)
    for path, declaration in declared_files(data, product):
        report = import_file(path, declaration, product, target)
        sys.stdout.write(f"imported {report.log}: {report.admitted:,} items from {report.rows:,} rows, {report.seconds:.1f} s\n")
        if report.rejected:
            raise SystemExit(f"{report.log}: rows refused {report.rejected}, expected none; see {report.rejected_file}")
    return time.perf_counter() - started_s


def tasks(product: Product, home: Home, profiles: MemoryProfileStore, data: Path) -> list[Task]:
    """Protocol A at three instants, and protocol B."""
    raw, facts = read_columns(home.raw_dir(product.name), product), course_facts(data)
    given = {log.name: log for log in product.logs if isinstance(log, LabelsLog)}
    made = []
    for days in (30, 14, 7):
        log = given[f"labels_{days}d"]
        spine = read_labels(log, home.labels_file(product.name, log.name).parent)
        task = _task(f"A {days}d", product, raw, spine, horizon=log.known_after - log.as_of_after, profiles=profiles)
        made.append(_with_facts(task, facts))
    # Protocol B goes without the facts: on training courses left out, its log loss gains nothing from them (0.4757 against 0.4761).
    return [*made, _task("B", product, raw, log_spine(raw, product), horizon=product.label.horizon, profiles=profiles)]


def course_facts(data: Path) -> pd.DataFrame:
    """What is known of each course at the end of each of its days, from the events of the days until then alone.

    One row per course and ``days`` (1 to 30, that have passed), with the profile attributes ``course_*`` as the product declares them:
    means over the enrolments that have done anything by then.
    """
    enrolments = pd.read_csv(data / "enrollments.csv.gz", dtype={"course": str}, usecols=["enrollment_id", "course", "course_start"])
    events = pd.read_csv(data / "daily_events.csv.gz", usecols=["enrollment_id", "date", *ACTIVITIES])
    events = events.merge(enrolments, on="enrollment_id")
    day = (pd.to_datetime(events["date"]) - pd.to_datetime(events["course_start"])) // _DAY
    rows = events.assign(day=day, events=events[list(ACTIVITIES)].sum(axis=1))
    return pd.concat([_facts_of(str(name), course) for name, course in rows.groupby("course")], ignore_index=True)


def _facts_of(name: str, course: pd.DataFrame) -> pd.DataFrame:
    table = course.pivot_table(index="enrollment_id", columns="day", values="events", aggfunc="sum", fill_value=0)
    counts = table.reindex(columns=range(COURSE_DAYS), fill_value=0).to_numpy()  # (n_enrolments, n_days)
    rows = []
    for days in range(1, COURSE_DAYS + 1):
        begun = counts[(counts[:, :days] > 0).any(axis=1), :days]
        shares = {f"course_active_{k}d": (begun[:, -k:] > 0).any(axis=1).mean() for k in (1, 3, 7)} if len(begun) else {}
        levels = {"course_events_7d": begun[:, -7:].sum(axis=1).mean(), "course_active_days": (begun > 0).sum(axis=1).mean()}
        rows.append({"course": name, "days": days, **shares, **(levels if len(begun) else {})})
    return pd.DataFrame(rows)


def _with_facts(task: Task, facts: pd.DataFrame) -> Task:
    """Put the facts beside the rows: those of the course as it stood at each row's as_of."""
    rows = task.frame.rows
    days = (rows[AS_OF].dt.tz_localize(None) - pd.to_datetime(pd.Series(task.course_start, index=rows.index))) // _DAY
    known = pd.DataFrame({"course": task.course, "days": days.to_numpy()}).merge(facts, on=["course", "days"], how="left", validate="m:1")
    columns = known.drop(columns=["course", "days"]).set_index(rows.index)
    return replace(task, frame=replace(task.frame, rows=pd.concat([rows, columns], axis=1)))


def _task(name: str, product: Product, raw: RawColumns, spine: pa.Table, *, horizon: timedelta, profiles: MemoryProfileStore) -> Task:
    started_s = time.perf_counter()
    snapshots = snapshots_of(raw, product, spine)
    build_s = time.perf_counter() - started_s
    frame = frame_of(product, features_join(product, Home(Path()), spine, snapshots), horizon=horizon)
    users = frame.rows[USER].tolist()
    known = dict(zip(users, profiles.read(users), strict=True))
    course, start = (np.array([known[user][attribute] for user in users]) for attribute in ("course", "course_start"))
    return Task(name=name, frame=frame, course=course, course_start=start, build_s=build_s)
