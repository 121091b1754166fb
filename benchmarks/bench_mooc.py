"""Dropout from online courses, on real data: KDD Cup 2015, 57,366 enrolments in 31 courses, daily counts of seven kinds of event.

    make bench-mooc        (STILLHERE_DATA or ../shared/data holds the folder kddcup2015_mooc_daily; without it, nothing is measured)

The files go through the same import, the same batch kernel and the same fit as any product's. Protocol A: the given label (no event on
days 30 to 39), seen from the end of day 29, 13 and 6. Protocol B: at the end of days 6 to 19, for those active in the last seven days, is
there no event in the next ten? Courses that start before 2014-05-01 train, later ones test. Trees are counted on the latest training
courses and the calibration is chosen by leaving one training course out at a time; the test courses are only scored.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.report import row, write
from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import RawColumns, read_columns
from features.backfill.snapshots import snapshots_of
from features.backfill.spine import log_spine, read_labels
from features.core.product import Product
from features.declarations.log import LabelsLog
from features.declarations.product_file import load_product
from features.home import Home
from features.ingest.import_log import ImportTarget, declared_files, import_file
from models.risk import RiskModel
from training.baselines import recency_probabilities, recency_scores
from training.calibrate import CalibrationChoice, choose_calibration
from training.dataset import features_join, frame_of
from training.evaluate import Evaluation, UserDraws, auc_gain, evaluate
from training.fit import FitParameters, Fitted, fit, grow
from training.frame import USER, TrainingFrame, learn_signature
from training.pipeline import encode

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("STILLHERE_DATA", ROOT.parent / "shared" / "data")) / "kddcup2015_mooc_daily"
TEST_FROM = "2014-05-01"
STOP_FROM = "2013-12-12"  # the latest training courses: they only say how many trees to grow
BOUNDS = {"A 30d": 0.857, "A 14d": 0.745, "A 7d": 0.688, "B": 0.822}
SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One question: its rows, and the course of each row."""

    name: str
    frame: TrainingFrame
    course: npt.NDArray[np.str_]
    course_start: npt.NDArray[np.str_]  # ISO dates
    build_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the test courses say."""

    task: Task
    model: Evaluation
    recency: Evaluation
    gain: str  # paired AUC gain with its interval
    calibration: str
    rounds: int
    train_s: float


def main() -> int:
    """Import, build, train, measure; 0 if every bound holds or the data is not there."""
    if not DATA.is_dir():
        sys.stdout.write(f"bench-mooc: no data in {DATA}; set STILLHERE_DATA to the folder that holds {DATA.name}; nothing measured\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        home, product, profiles = Home(Path(folder)), load_product(ROOT / "products" / "mooc"), MemoryProfileStore()
        import_s = import_everything(product, home, profiles)
        results = [measure(task) for task in tasks(product, home, profiles)]
    rows = [each for result in results for each in rows_of(result)]
    rows += [
        row("import s", import_s, "s"),
        row("build s", sum(result.task.build_s for result in results), "s"),
        row("train s", sum(result.train_s for result in results), "s"),
    ]
    notes = [f"{r.task.name}: {r.rounds} trees, calibration {r.calibration}, AUC gain over recency, paired: {r.gain}" for r in results]
    return 0 if write("mooc", rows, notes=[*notes, "intervals: 95 %, bootstrap by enrolment"]) else 1


def import_everything(product: Product, home: Home, profiles: MemoryProfileStore) -> float:
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
    for path, declaration in declared_files(DATA, product):
        report = import_file(path, declaration, product, target)
        sys.stdout.write(f"imported {report.log}: {report.admitted:,} items from {report.rows:,} rows, {report.seconds:.1f} s\n")
        if report.rejected:
            raise SystemExit(f"{report.log}: rows refused {report.rejected}, expected none; see {report.rejected_file}")
    return time.perf_counter() - started_s


def tasks(product: Product, home: Home, profiles: MemoryProfileStore) -> list[Task]:
    """Protocol A at three instants, and protocol B."""
    raw = read_columns(home.raw_dir(product.name), product)
    given = {log.name: log for log in product.logs if isinstance(log, LabelsLog)}
    made = []
    for days in (30, 14, 7):
        log = given[f"labels_{days}d"]
        spine = read_labels(log, home.labels_file(product.name, log.name).parent)
        made.append(_task(f"A {days}d", product, raw, spine, horizon=log.known_after - log.as_of_after, profiles=profiles))
    return [*made, _task("B", product, raw, log_spine(raw, product), horizon=product.label.horizon, profiles=profiles)]


def measure(task: Task) -> Result:
    """Train on the early courses, score the late ones once."""
    started_s = time.perf_counter()
    is_test = task.course_start >= TEST_FROM
    is_stop = ~is_test & (task.course_start >= STOP_FROM)
    learn, stop, test = (task.frame.at(np.flatnonzero(mask)) for mask in (~is_test & ~is_stop, is_stop, is_test))
    signature = learn_signature(learn)
    fitted = fit(learn, stop, signature, parameters=FitParameters(), seed=SEED)
    chosen = choose_across_courses(task, ~is_test, fitted)
    train_s = time.perf_counter() - started_s
    raw = RiskModel(fitted.model_text, len(signature.input_names)).raw_scores(encode(test, signature))
    draws = UserDraws(test.rows[USER].to_numpy())
    recency, train_recency = recency_scores(test), recency_scores(learn)
    assert recency is not None
    assert train_recency is not None
    recency_risk = recency_probabilities(train_recency, learn.outcomes, recency)
    return Result(
        task=task,
        model=evaluate(chosen.calibration.apply(raw), test.outcomes, draws, scores=raw),
        recency=evaluate(recency_risk, test.outcomes, draws, scores=recency),
        gain=str(auc_gain(raw, recency, test.outcomes, draws)),
        calibration=chosen.calibration.method.value,
        rounds=fitted.rounds,
        train_s=train_s,
    )


def choose_across_courses(task: Task, is_train: npt.NDArray[np.bool_], fitted: Fitted) -> CalibrationChoice:
    """Choose the calibration on training courses, each scored by a model that has not seen it: base rates differ from course to course."""
    train, course = task.frame.at(np.flatnonzero(is_train)), task.course[is_train]
    signature = learn_signature(train)
    raw = np.empty(len(course))
    for left_out in np.unique(course):
        seen, unseen = np.flatnonzero(course != left_out), np.flatnonzero(course == left_out)
        text = grow([train.at(seen)], signature, parameters=FitParameters(), seed=SEED, rounds=fitted.rounds)
        raw[unseen] = RiskModel(text, len(signature.input_names)).raw_scores(encode(train.at(unseen), signature))
    return choose_calibration(raw, train.outcomes, train.as_of_us, course)


def rows_of(result: Result) -> list[dict[str, object]]:
    """Figures of one task, recency alone as the reference."""
    name = f"mooc {result.task.name}"
    model, recency = result.model.figures, result.recency.figures
    made = [
        row(f"{name} AUC", model["auc"].value, reference=f"recency alone {recency['auc']}", at_least=BOUNDS[result.task.name]),
        row(f"{name} AUC low", model["auc"].low),
        row(f"{name} AUC high", model["auc"].high),
    ]
    if result.task.name in {"A 30d", "B"}:
        made += [
            row(f"{name} {shown}", model[key].value, reference=f"recency alone {recency[key].value:.4f}") for shown, key in _CALIBRATION
        ]
    return made


_CALIBRATION = (("ECE", "ece"), ("Brier", "brier"), ("calibration slope", "calibration_slope"))


def _task(name: str, product: Product, raw: RawColumns, spine: pa.Table, *, horizon: timedelta, profiles: MemoryProfileStore) -> Task:
    started_s = time.perf_counter()
    snapshots = snapshots_of(raw, product, spine)
    build_s = time.perf_counter() - started_s
    frame = frame_of(product, features_join(product, Home(Path()), spine, snapshots), horizon=horizon)
    users = frame.rows[USER].tolist()
    known = dict(zip(users, profiles.read(users), strict=True))
    course, start = (np.array([known[user][attribute] for user in users]) for attribute in ("course", "course_start"))
    return Task(name=name, frame=frame, course=course, course_start=start, build_s=build_s)


if __name__ == "__main__":
    sys.exit(main())
