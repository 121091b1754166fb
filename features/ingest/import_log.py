"""Import a declared file: judge row by row, store what is admitted, set aside what is refused, say what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from features.core.product import Product
from features.declarations.log import DailyCountsLog, EventsLog, LabelsLog, LogDeclaration, ProfilesLog
from features.ingest.answers import StoredAnswers
from features.ingest.declared_rows import daily_judge, event_judge, profile_judge
from features.ingest.label_rows import label_judge
from features.ingest.permitted_rows import PermittedRows
from features.ingest.rejected_file import RejectedFile
from features.ingest.rejection import Rejection
from features.ingest.rows import LogFileError, Row, read_rows
from features.ingest.sinks import BulkRawLog, EventSink, LabelSink, ProfileSink, Sink, Totals
from features.ports import IdentityStore, ProfileStore, TimelineStore

__all__ = ["ImportReport", "ImportTarget", "LogFileError", "Progress", "declared_files", "import_file"]

Progress = Callable[[int, int], None]
"""``progress(done, total)``: parts of the work; done never decreases and ends at total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTarget:
    """Where an import puts what it admits."""

    raw_log: BulkRawLog
    timelines: TimelineStore
    profiles: ProfileStore
    labels_dir: Path  # labels of the log L go to L.parquet
    rejected_dir: Path
    identities: IdentityStore | None = None  # whom ids stand for, where consent to collection is asked; None: each for itself


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What one import did."""

    file: Path
    log: str  # name of the declaration
    rows: int  # rows read
    admitted: int  # events, profile changes or labels
    distinct: int  # how many of them differ
    users: int  # users they are about
    rejected: Mapping[str, int]  # code -> refusals; a row of a wide table may have several
    rejected_file: Path | None  # None: nothing was refused
    first: datetime | None  # earliest and latest occurred_at, changed_at or as_of
    last: datetime | None
    seconds: float
    not_kept: int = 0  # rows of people whose behaviour may not be kept; they are in none of the other numbers but `rows`


def import_file(
    path: Path,
    declaration: LogDeclaration,
    product: Product,
    target: ImportTarget,
    *,
    progress: Progress | None = None,
    imported_at: datetime | None = None,
) -> ImportReport:
    """Import one file. Refused rows go to a file in ``target.rejected_dir``, with line numbers and reasons, and the import goes on.

    Importing the same file again changes nothing: events are recognised by their content. Where the product asks for consent to collection,
    rows of people who are not to be tracked, by what their profiles say now, are counted and left out, whatever else is wrong with them.

    Parameters
    ----------
    imported_at
        Aware; nothing counts as received later than this, and events more than 5 minutes after it are refused. Default: now.

    Raises
    ------
    LogFileError
        If the file cannot be read by this declaration at all.
    StoreError
        If a store failed; import the file again when it is back.
    """
    started_s = time.perf_counter()
    imported_at = imported_at or datetime.now(UTC)
    report = progress or (lambda _done, _total: None)
    judge, sink = _judge(declaration, product, imported_at), _sink(declaration, product, target)
    rejected_path = target.rejected_dir / f"{path.name}-{imported_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.csv"
    permitted, rows = PermittedRows(declaration=declaration, answers=_answers(product, target)), 0
    with RejectedFile(rejected_path) as rejected:
        for batch in read_rows(path, declaration.syntax, _columns(declaration)):
            rows += len(batch.rows)
            sink.add([item for row in permitted.of(batch.rows) for item in _admitted(row, judge, rejected)])
            report(batch.done, 2 * batch.total)  # reading is the first half
        size = path.stat().st_size
        totals = sink.finish(lambda done, total: report(size + size * done // total, 2 * size))
        report(2 * size, 2 * size)
    done = _report(totals, path, declaration, rows=rows, rejected=rejected, seconds=time.perf_counter() - started_s)
    return replace(done, not_kept=permitted.n_not_kept)


def declared_files(folder: Path, product: Product) -> list[tuple[Path, LogDeclaration]]:
    """Find the files of a folder that the product's logs name, in declared order; logs without a file there are left out.

    Where the product asks for consent to collection, profiles come first: they hold the answers.
    """
    logs = [log for log in product.logs if isinstance(log, LogDeclaration)]
    if product.collection is not None:
        logs.sort(key=lambda log: not isinstance(log, ProfilesLog))
    return [(folder / log.syntax.file, log) for log in logs if log.syntax.file and (folder / log.syntax.file).is_file()]


def _answers(product: Product, target: ImportTarget) -> StoredAnswers | None:
    if product.collection is None:
        return None
    return StoredAnswers(collection=product.collection, profiles=target.profiles, identities=target.identities)


def _judge(declaration: LogDeclaration, product: Product, imported_at: datetime) -> Callable[[Mapping[str, Any]], list[Any]]:
    match declaration:
        case EventsLog():
            return event_judge(declaration, product, imported_at)
        case DailyCountsLog():
            return daily_judge(declaration, product, imported_at)
        case ProfilesLog():
            return profile_judge(declaration, product, imported_at)
        case LabelsLog():
            return label_judge(declaration)


def _sink(declaration: LogDeclaration, product: Product, target: ImportTarget) -> Sink:
    match declaration:
        case ProfilesLog():
            return ProfileSink(target.profiles)
        case LabelsLog():
            return LabelSink(target.labels_dir / f"{declaration.name}.parquet")
        case _:
            return EventSink(product, target.raw_log, target.timelines)


def _columns(declaration: LogDeclaration) -> list[str]:
    """Columns that the declaration reads."""
    match declaration:
        case EventsLog():
            received = declaration.received_at.column if declaration.received_at else None
            named = (
                declaration.kind_column,
                declaration.event_id,
                declaration.subject,
                declaration.value,
                declaration.session_id,
                received,
            )
            return [declaration.user_id, declaration.occurred_at.column, *(column for column in named if column)]
        case DailyCountsLog():
            return [declaration.user_id, declaration.date.column, *declaration.kind_columns]
        case ProfilesLog():
            changed = [declaration.changed_at.column] if declaration.changed_at else []
            return [declaration.user_id, *declaration.attribute_columns, *changed]
        case LabelsLog():
            return [declaration.user_id, declaration.start.column, declaration.label]


def _admitted(row: Row, judge: Callable[[Mapping[str, Any]], list[Any]], rejected: RejectedFile) -> Iterator[Any]:
    if row.values is None:
        rejected.write(row, Rejection(code="malformed", field="", message=row.problem))
        return
    for item in judge(row.values):
        if isinstance(item, Rejection):
            rejected.write(row, item)
        taken = item.taken if isinstance(item, Rejection) else item
        if taken is not None:
            yield taken


def _report(totals: Totals, path: Path, declaration: LogDeclaration, *, rows: int, rejected: RejectedFile, seconds: float) -> ImportReport:
    return ImportReport(
        file=path,
        log=declaration.name,
        rows=rows,
        admitted=totals.admitted,
        distinct=totals.distinct,
        users=totals.users,
        rejected=dict(rejected.by_code),
        rejected_file=rejected.path,
        first=totals.first,
        last=totals.last,
        seconds=seconds,
    )
