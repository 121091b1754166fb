from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.adapters.memory import MemoryProfileStore
from features.adapters.memory_identities import MemoryIdentityStore
from features.adapters.raw_log import MemoryRawLog
from features.core.alias import Alias
from features.core.event import Event, to_us
from features.core.product import Collection, Product
from features.core.timeline import pack, timeline_from_events
from features.declarations.log import DailyCountsLog, EventsLog, FileFormat, FileSyntax, LabelsLog, ProfilesLog, TimeColumn
from features.ingest import sinks
from features.ingest.import_log import ImportTarget, LogFileError, declared_files, import_file

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def syntax(file_format: str) -> FileSyntax:
    return FileSyntax(format=FileFormat(file_format), file=f"app.{file_format}")


def app_log(file_format: str = "jsonl") -> EventsLog:
    return EventsLog(
        name="app",
        syntax=syntax(file_format),
        user_id="user_id",
        occurred_at=TimeColumn(column="occurred_at"),
        kind_column="kind",
        event_id="event_id",
        subject="subject",
        value="value",
        session_id="session_id",
    )


def item(number: int, **fields: object) -> dict[str, object]:
    at = datetime(2024, 5, 1, 12, tzinfo=UTC) + timedelta(hours=number)
    given: dict[str, object] = {"event_id": f"e{number}", "user_id": f"user-{number % 3}", "kind": "login", "occurred_at": at.isoformat()}
    return given | {"subject": None, "value": None, "session_id": None} | fields


ITEMS = [
    item(0),
    item(1, kind="purchase", value=1999),
    item(2, kind="page_view", subject="pricing, new"),
    item(3, session_id="s1"),
    item(3),
]


def write(path: Path, items: list[dict[str, object]]) -> Path:
    match path.suffix:
        case ".jsonl":
            path.write_bytes(b"\n".join(orjson.dumps(one) for one in items))
        case ".csv":
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(items[0]))
                writer.writeheader()
                writer.writerows(items)
        case _:
            pq.write_table(pa.Table.from_pylist(items), path)
    return path


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_the_same_log_in_any_format_gives_the_same_timelines_and_raw_log(
    file_format: str, product: Product, target: ImportTarget, tmp_path: Path
) -> None:
    report = import_file(write(tmp_path / f"app.{file_format}", ITEMS), app_log(file_format), product, target, imported_at=NOW)
    assert (report.rows, report.admitted, report.distinct, report.users, report.rejected, report.rejected_file) == (5, 5, 5, 3, {}, None)
    assert (report.first, report.last) == (datetime(2024, 5, 1, 12, tzinfo=UTC), datetime(2024, 5, 1, 15, tzinfo=UTC))
    assert isinstance(target.raw_log, MemoryRawLog)
    events = [Event(**row) for row in target.raw_log.scan().drop_columns(["event_hash", "subject_hash", "session_hash"]).to_pylist()]
    assert {event.event_id for event in events} == {"e0", "e1", "e2", "e3"}
    expected = pack(timeline_from_events([event for event in events if event.user_id == "user-0"], product.catalogue.kinds))
    assert target.timelines.read(["user-0"])[0].packed == expected


def test_importing_twice_changes_nothing(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    path = write(tmp_path / "app.jsonl", ITEMS)
    import_file(path, app_log(), product, target, imported_at=NOW)
    before = target.timelines.read(["user-0", "user-1", "user-2"])
    again = import_file(path, app_log(), product, target, imported_at=NOW + timedelta(days=1))
    assert again.admitted == 5
    assert target.timelines.read(["user-0", "user-1", "user-2"]) == before
    assert isinstance(target.raw_log, MemoryRawLog)
    assert target.raw_log.scan().num_rows == 5


def test_duplicates_in_the_file_are_counted_once(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    report = import_file(write(tmp_path / "app.jsonl", [*ITEMS, *ITEMS]), app_log(), product, target, imported_at=NOW)
    assert (report.admitted, report.distinct) == (10, 5)


def test_refused_rows_are_set_aside_with_line_and_reason_and_the_others_come_in(
    product: Product, target: ImportTarget, tmp_path: Path
) -> None:
    path = write(tmp_path / "app.jsonl", [ITEMS[0], item(1, kind="logout"), item(2, value=7), ITEMS[3]])
    with path.open("ab") as file:
        file.write(b"\n{oops\n")
    report = import_file(path, app_log(), product, target, imported_at=NOW)
    assert (report.rows, report.admitted, dict(report.rejected)) == (5, 2, {"unknown_kind": 1, "bad_value": 1, "malformed": 1})
    assert report.rejected_file == target.rejected_dir / "app.jsonl-20240601T000000.000000Z.csv"
    with report.rejected_file.open(newline="") as file:
        refused = list(csv.DictReader(file))
    assert [(row["line"], row["code"], row["field"]) for row in refused] == [
        ("2", "unknown_kind", "kind"),
        ("3", "bad_value", "value"),
        ("5", "malformed", ""),
    ]
    assert refused[0]["message"] == "kind: got 'logout', expected one of login, purchase, page_view"
    assert orjson.loads(refused[0]["row"])["event_id"] == "e1"
    assert refused[2]["row"] == "{oops"


def test_a_refused_parquet_row_is_shown_as_json(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    path = write(tmp_path / "app.parquet", [ITEMS[0], item(1, user_id="")])
    report = import_file(path, app_log("parquet"), product, target, imported_at=NOW)
    assert report.rejected_file is not None
    with report.rejected_file.open(newline="") as file:
        refused = list(csv.DictReader(file))
    assert (refused[0]["line"], refused[0]["code"]) == ("2", "bad_user_id")
    assert orjson.loads(refused[0]["row"])["user_id"] == ""


def test_progress_grows_and_ends_at_its_total(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    items = [item(number) for number in range(45_000)]
    path = write(tmp_path / "app.jsonl", items)
    import_file(path, app_log(), product, target, imported_at=NOW + timedelta(days=5_000), progress=lambda *progress: seen.append(progress))
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert len({total for _, total in seen}) == 1
    assert seen[-1][0] == seen[-1][1]


def test_a_log_larger_than_one_flush_is_stored_and_counted_whole(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    sink = sinks.EventSink(product, target.raw_log, target.timelines, flush_events=3)
    at = datetime(2024, 5, 1, 12, tzinfo=UTC)
    events = [Event(event_id=f"e{n % 5}", user_id="ada", kind="login", occurred_at=at, received_at=at) for n in range(10)]
    for start in range(0, 10, 2):
        sink.add(events[start : start + 2])
    totals = sink.finish(lambda _done, _total: None)
    assert (totals.admitted, totals.distinct, totals.users, totals.first, totals.last) == (10, 5, 1, at, at)
    assert isinstance(target.raw_log, MemoryRawLog)
    assert len(target.raw_log.tables) == 3
    assert target.timelines.read(["ada"])[0].packed == pack(timeline_from_events(events, product.catalogue.kinds))


def test_an_empty_log_is_a_report_of_nothing(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(b"")
    report = import_file(path, app_log(), product, target, imported_at=NOW, progress=lambda _done, _total: None)
    assert (report.rows, report.admitted, report.distinct, report.users, report.first, report.last) == (0, 0, 0, 0, None, None)


def test_a_wide_table_gives_an_event_a_kind_and_day(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    wide = DailyCountsLog(
        name="daily",
        syntax=syntax("csv"),
        user_id="user",
        date=TimeColumn(column="day", assume_timezone="UTC"),
        kind_columns={"buys": "purchase"},
    )
    path = tmp_path / "app.csv"
    path.write_text("user,day,buys,other\nada,2024-05-01,3,x\nada,2024-05-02,0,x\nbob,2024-05-02,5,x\n")
    report = import_file(path, wide, product, target, imported_at=NOW)
    assert (report.rows, report.admitted, report.users) == (3, 2, 2)


def test_profiles_keep_the_newest_value_whatever_the_order_of_the_file(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    people = ProfilesLog(
        name="people",
        syntax=syntax("csv"),
        user_id="user",
        attribute_columns={"plan": "plan", "seats": "seats"},
        changed_at=TimeColumn(column="at"),
    )
    path = tmp_path / "app.csv"
    path.write_text(
        "user,plan,seats,at\nada,pro,,2024-05-02T00:00:00Z\nada,free,1,2024-05-01T00:00:00Z\nbob,free,x,2024-05-01T00:00:00Z\nbob,team,,2024-05-01T00:00:00Z\n"
    )
    report = import_file(path, people, product, target, imported_at=NOW)
    assert (report.admitted, report.users, dict(report.rejected)) == (3, 2, {"bad_attribute": 1})
    assert isinstance(target.profiles, MemoryProfileStore)
    assert target.profiles.read(["ada", "bob"]) == [{"plan": "pro", "seats": 1.0}, {"plan": "team"}]
    assert report.last == datetime(2024, 5, 2, tzinfo=UTC)
    assert report.first is not None
    assert to_us(report.first) == to_us(datetime(2024, 5, 1, tzinfo=UTC))


def test_labels_go_to_the_file_of_their_log(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    truth = LabelsLog(
        name="truth",
        syntax=syntax("csv"),
        user_id="user",
        start=TimeColumn(column="start", assume_timezone="UTC"),
        label="label",
        dropped_out_values=("1",),
        stayed_values=("0",),
    )
    path = tmp_path / "app.csv"
    path.write_text("user,start,label\nada,2024-05-01,1\nbob,2024-05-01,2\n")
    report = import_file(path, truth, product, target, imported_at=NOW)
    assert (report.admitted, dict(report.rejected)) == (1, {"bad_label": 1})
    assert pq.read_table(target.labels_dir / "truth.parquet")["user_id"].to_pylist() == ["ada"]


def test_a_file_of_another_shape_is_an_error_and_stores_nothing(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    path = tmp_path / "app.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(LogFileError, match="expected event_id, kind, occurred_at, session_id, subject, user_id, value exactly once"):
        import_file(path, app_log("csv"), product, target, imported_at=NOW)
    assert isinstance(target.raw_log, MemoryRawLog)
    assert target.raw_log.tables == []
    assert not target.rejected_dir.exists()


def test_a_folder_is_imported_by_the_file_names_of_the_logs(product: Product, tmp_path: Path) -> None:
    declared = dataclasses.replace(product, logs=(app_log("csv"), app_log("jsonl"), app_log("parquet")))
    (tmp_path / "app.parquet").touch()
    (tmp_path / "app.csv").touch()
    assert declared_files(tmp_path, declared) == [(tmp_path / "app.csv", app_log("csv")), (tmp_path / "app.parquet", app_log("parquet"))]


def people_log() -> ProfilesLog:
    return ProfilesLog(
        name="people",
        syntax=FileSyntax(format=FileFormat("csv"), file="people.csv"),
        user_id="user",
        attribute_columns={"consent": "consent"},
        changed_at=TimeColumn(column="at"),
    )


@pytest.mark.parametrize(("unless_said", "kept"), [(False, ["user-1"]), (True, ["user-1", "user-2"])])
def test_s1_14_rows_of_people_who_are_not_to_be_tracked_are_counted_and_left_out(
    product: Product, target: ImportTarget, tmp_path: Path, *, unless_said: bool, kept: list[str]
) -> None:
    """user-0 said no, user-1 yes, user-2 nothing."""
    asking = dataclasses.replace(product, collection=Collection(attribute="consent", unless_said=unless_said))
    target.profiles.write({"user-0": {"consent": False}, "user-1": {"consent": True}}, changed_us=1)
    path = write(tmp_path / "app.jsonl", [*ITEMS, item(6, kind="what is this"), item(1, user_id="")])
    report = import_file(path, app_log(), asking, target, imported_at=NOW)
    assert isinstance(target.raw_log, MemoryRawLog)
    assert sorted(target.raw_log.scan()["user_id"].to_pylist()) == kept
    assert (report.rows, report.admitted, report.not_kept) == (7, len(kept), 6 - len(kept))
    assert dict(report.rejected) == {"bad_user_id": 1}  # the unknown kind is user-0's, and is not set aside either
    assert report.rejected_file is not None
    assert "what is this" not in report.rejected_file.read_text()
    assert [bool(stored.packed) for stored in target.timelines.read(["user-0", "user-1"])] == [False, True]


def test_s1_15_who_opts_out_after_an_import_has_no_more_imported_and_agreeing_again_brings_it_in(
    product: Product, target: ImportTarget, tmp_path: Path
) -> None:
    asking = dataclasses.replace(product, collection=Collection(attribute="consent", unless_said=True))
    path = write(tmp_path / "app.jsonl", ITEMS[:3])
    import_file(path, app_log(), asking, target, imported_at=NOW)
    target.profiles.write({"user-0": {"consent": False}}, changed_us=1)
    path = write(tmp_path / "app.jsonl", ITEMS)
    assert import_file(path, app_log(), asking, target, imported_at=NOW).not_kept == 3
    assert isinstance(target.raw_log, MemoryRawLog)
    assert target.raw_log.scan().num_rows == 3
    target.profiles.write({"user-0": {"consent": True}}, changed_us=2)
    assert import_file(path, app_log(), asking, target, imported_at=NOW).not_kept == 0
    assert target.raw_log.scan().num_rows == 5


def test_s1_14_an_import_asks_the_person_whom_an_id_stands_for(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    asking = dataclasses.replace(product, collection=Collection(attribute="consent"))
    identities = MemoryIdentityStore()
    identities.claim(Alias(previous_id="user-0", user_id="ada", occurred_at=NOW, received_at=NOW))
    target.profiles.write({"ada": {"consent": True}}, changed_us=1)
    path = write(tmp_path / "app.jsonl", ITEMS[:3])
    report = import_file(path, app_log(), asking, dataclasses.replace(target, identities=identities), imported_at=NOW)
    assert (report.admitted, report.not_kept) == (1, 2)


def test_s1_14_of_a_folder_the_answers_come_first(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    collection = Collection(attribute="consent")
    logs = (app_log("csv"), people_log())
    write(tmp_path / "app.csv", ITEMS)
    (tmp_path / "people.csv").write_text("user,consent,at\nuser-0,true,2024-05-20T00:00:00Z\nuser-1,no,2024-05-20T00:00:00Z\n")
    asking = dataclasses.replace(product, logs=logs, collection=collection)
    files = declared_files(tmp_path, asking)
    assert [log.name for _, log in files] == ["people", "app"]
    assert [log.name for _, log in declared_files(tmp_path, dataclasses.replace(product, logs=logs))] == ["app", "people"]
    reports = [import_file(path, log, asking, target, imported_at=NOW) for path, log in files]
    assert [(report.admitted, report.not_kept) for report in reports] == [(2, 0), (3, 2)]


def test_s1_15_a_row_that_is_set_aside_still_says_no(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    log = dataclasses.replace(people_log(), attribute_columns={"consent": "consent", "seats": "seats"})
    path = tmp_path / "people.csv"
    path.write_text("user,consent,seats,at\nuser-0,no,many,2024-05-20T00:00:00Z\nuser-1,yes,many,2024-05-20T00:00:00Z\n")
    for collection, profiles in ((None, [{}, {}]), (Collection(attribute="consent", unless_said=True), [{"consent": False}, {}])):
        report = import_file(path, log, dataclasses.replace(product, collection=collection), target, imported_at=NOW)
        assert dict(report.rejected) == {"bad_attribute": 2}
        assert target.profiles.read(["user-0", "user-1"]) == profiles


def test_without_consent_to_collection_an_import_asks_no_profile(product: Product, target: ImportTarget, tmp_path: Path) -> None:
    class AskedNothing(MemoryProfileStore):
        def read(self, user_ids: Sequence[str], names: Sequence[str] | None = None) -> list[dict[str, Any]]:
            raise AssertionError(f"asked about {user_ids}: {names}")

    path = write(tmp_path / "app.jsonl", ITEMS)
    report = import_file(path, app_log(), product, dataclasses.replace(target, profiles=AskedNothing()), imported_at=NOW)
    assert (report.admitted, report.not_kept) == (5, 0)
