from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import MemoryRawLog
from features.core.product import Collection
from features.declarations.log import EventsLog
from features.declarations.product_file import load_product
from features.draft.columns import DraftError, Overrides
from features.draft.draft import Draft, draft_product
from features.draft.product_text import OPT_OUT
from features.ingest.import_log import ImportReport, ImportTarget, import_file
from serving.policy_file import load_policy

Rows = Sequence[Mapping[str, object]]
START = datetime(2025, 6, 1, tzinfo=UTC)


def shop_rows(n_users: int = 60, days: int = 120) -> list[dict[str, object]]:
    """Page views with a page, orders with an amount; half of the users stop at some time."""
    draw = random.Random(7)
    rows: list[dict[str, object]] = []
    for user in range(n_users):
        stays = days if user % 2 else draw.randrange(days)
        for day in range(0, stays, 3):
            at = START + timedelta(days=day, seconds=draw.randrange(86_400))
            is_order = draw.random() < 0.2
            rows.append(
                {
                    "id": f"m{len(rows)}",
                    "Customer ID": user,
                    "event": "Order Placed" if is_order else "Page View",
                    "sent_at": at.isoformat(),
                    "page": None if is_order else f"/p/{draw.randrange(9)}",
                    "order_total": round(draw.random() * 100, 2) if is_order else None,
                }
            )
    return rows


def csv_text(rows: Rows, delimiter: str = ",") -> str:
    lines = [rows[0].keys(), *(row.values() for row in rows)]
    return "".join(delimiter.join("" if value is None else str(value) for value in line) + "\n" for line in lines)


def csv(rows: Rows, folder: Path) -> Path:
    (folder / "shop.csv").write_text(csv_text(rows))
    return folder / "shop.csv"


def csv_gz(rows: Rows, folder: Path) -> Path:
    (folder / "shop.csv.gz").write_bytes(gzip.compress(csv_text(rows, ";").encode()))
    return folder / "shop.csv.gz"


def jsonl(rows: Rows, folder: Path) -> Path:
    (folder / "shop.jsonl").write_bytes(b"\n".join(orjson.dumps({**row, "context": {"ip": "1"}}) for row in rows))
    return folder / "shop.jsonl"


def jsonl_gz(rows: Rows, folder: Path) -> Path:
    plain = jsonl(rows, folder)
    (folder / "shop.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    return folder / "shop.jsonl.gz"


def parquet(rows: Rows, folder: Path) -> Path:
    typed = [{**row, "sent_at": datetime.fromisoformat(str(row["sent_at"]))} for row in rows]
    pq.write_table(pa.Table.from_pylist(typed), folder / "shop.parquet")
    return folder / "shop.parquet"


def written(draft: Draft, folder: Path) -> Path:
    folder.mkdir()
    (folder / "product.yaml").write_text(draft.product_yaml)
    (folder / "policy.yaml").write_text(draft.policy_yaml)
    return folder


def imported(file: Path, folder: Path) -> ImportReport:
    product = load_product(folder)
    load_policy(folder / "policy.yaml", product)
    target = ImportTarget(
        raw_log=MemoryRawLog(),
        timelines=MemoryTimelineStore(kinds=product.catalogue.kinds, clock_us=lambda: 0),
        profiles=MemoryProfileStore(),
        labels_dir=folder,
        rejected_dir=folder / "rejected",
    )
    (log,) = product.logs
    assert isinstance(log, EventsLog)
    return import_file(file, log, product, target)


@pytest.mark.parametrize("form", [csv, csv_gz, jsonl, jsonl_gz, parquet])
def test_the_same_log_in_every_form_gives_the_same_product_and_imports_whole(form: Callable[[Rows, Path], Path], tmp_path: Path) -> None:
    rows = shop_rows()
    file = form(rows, tmp_path)
    draft = draft_product(file)
    content = draft.content
    kinds = {kind.name: (kind.subject, kind.value_unit) for kind in content.kinds}
    assert kinds == {"page_view": ("page", None), "order_placed": (None, "cents")}
    assert (content.name, content.roles.event_id, content.label.horizon) == ("shop", "id", timedelta(days=3))
    assert 30 <= sum(entry.size for entry in content.features) <= 60
    report = imported(file, written(draft, tmp_path / "product"))
    assert (report.rows, report.admitted, dict(report.rejected)) == (len(rows), len(rows), {})


def test_every_guess_stands_in_the_file_with_its_reason(tmp_path: Path) -> None:
    text = draft_product(csv(shop_rows(), tmp_path)).product_yaml
    assert '    user_id: "Customer ID" # by its name\n' in text
    assert '    kind: {column: event, values: {"Page View": page_view, "Order Placed": order_placed}} # by its name\n' in text
    assert "    occurred_at: {column: sent_at} # the only column that holds instants\n" in text
    assert "    value: {column: order_total, multiply_by: 100} # by its name: in cents, so that sums are exact\n" in text
    assert "# Base rate: " in text
    assert max(map(len, text.splitlines())) <= 250


def test_a_log_of_a_few_rows_still_gives_valid_files(tmp_path: Path) -> None:
    file = csv([{"user_id": user, "time": at} for user in "ab" for at in ("2026-01-01", "2026-01-02")], tmp_path)
    draft = draft_product(file)
    assert [kind.name for kind in draft.content.kinds] == ["event"]
    assert imported(file, written(draft, tmp_path / "product")).admitted == 4


@pytest.mark.parametrize(
    "hostile",
    [
        {"user_id": "x", "time": "2026-01-01", 'ev"en\'t': "a"},
        {"user_id": "x", "time": "2026-01-01", "kind": "yes"},
        {"user_id": "x", "time": "2026-01-01", "kind": "12"},
        {"user_id": "x", "time": "2026-01-01", "kind": "é: {[#"},
        {"user_id": "#", "time": "2026-01-01", "kind": "use"},
    ],
)  # fmt: skip
def test_hostile_words_do_not_break_the_files(hostile: dict[str, object], tmp_path: Path) -> None:
    rows = [hostile, {**hostile, "user_id": "y"}, {**hostile, "time": "2026-01-02"}, {**hostile, "user_id": "y", "time": "2026-01-03"}]
    file = jsonl(rows, tmp_path)
    assert imported(file, written(draft_product(file), tmp_path / "product")).admitted == 4


def test_s1_15_the_drafted_opt_out_needs_nothing_but_its_comment_signs_taken_off(tmp_path: Path) -> None:
    file = csv(shop_rows(), tmp_path)
    folder = written(draft_product(file), tmp_path / "product")
    assert load_product(folder).collection is None
    text = (folder / "product.yaml").read_text()
    for line in OPT_OUT:
        assert f"\n# {line}\n" in text
        text = text.replace(f"# {line}", line)
    (folder / "product.yaml").write_text(text)
    assert load_product(folder).collection == Collection(attribute="tracking", unless_said=True)
    assert imported(file, folder).admitted == len(shop_rows())


def test_a_few_odd_rows_are_refused_by_the_import_and_announced(tmp_path: Path) -> None:
    rows = shop_rows()
    rows[5]["sent_at"] = rows[6]["sent_at"] = "soon"
    draft = draft_product(csv(rows, tmp_path))
    assert any("of the times in column sent_at are not like the others" in note for note in draft.content.notes)
    assert "# NOTE: About" in draft.product_yaml
    report = imported(csv(rows, tmp_path), written(draft, tmp_path / "product"))
    assert (report.admitted, dict(report.rejected)) == (len(rows) - 2, {"bad_timestamp": 2})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", b"", "expected"),
        ("log.csv", b"user_id,time\n", "got no rows"),
        ("log.xlsx", b"x", "got a file of an unknown kind"),
        ("log.csv.gz", b"no archive", "expected a readable csv file"),
        ("log.parquet", b"no parquet", "expected a readable parquet file"),
        ("log.jsonl", b"[1]\n[2]\n", "expected"),
        ("log.jsonl", b"", "expected"),
        ("log.json", b'[{"user_id": "ada"}]', "a JSON array is none"),
        ("log.csv", "user_id,time,kind\nada,2025-06-01,ouvr\u00e9\n".encode("latin-1"), "byte 0xe9 at 37 is no UTF-8"),
    ],
)
def test_files_that_are_no_logs_are_refused_in_one_sentence(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DraftError, match=message):
        draft_product(tmp_path / name)


def test_ids_within_objects_are_not_taken_for_ids(tmp_path: Path) -> None:
    """The import would refuse every row."""
    rows = [{"user": {"id": row["Customer ID"]}, "event": row["event"], "time": row["sent_at"]} for row in shop_rows(4, 30)]
    (file := tmp_path / "log.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    with pytest.raises(DraftError, match=r"name it with --user COLUMN \(those within user need a column of their own first\)"):
        draft_product(file)
    with pytest.raises(DraftError, match=r"--user user: got values such as .* expected plain ids"):
        draft_product(file, Overrides(user="user"))


def test_ids_in_braces_are_ids(tmp_path: Path) -> None:
    rows = [{"user_id": f"{{{row['Customer ID']}-4F}}", "event": row["event"], "time": row["sent_at"]} for row in shop_rows(8, 60)]
    report = imported(log := csv(rows, tmp_path), written(draft_product(log), tmp_path / "product"))
    assert report.admitted == len(rows)


def test_a_file_that_is_not_there_and_a_zone_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DraftError, match="there is no file"):
        draft_product(tmp_path / "log.csv")
    with pytest.raises(DraftError, match="--timezone Mars: expected an IANA time zone"):
        draft_product(csv(shop_rows(4, 10), tmp_path), Overrides(timezone="Mars"))


def orders(tmp_path: Path, odd: Mapping[int, str], *, write: Callable[[float], str] = str, delimiter: str = ";") -> Path:
    """A log of one kind in which some amounts are no plain numbers."""
    draw = random.Random(3)
    rows: list[dict[str, object]] = [
        {"user_id": f"u{number % 9}", "time": START + timedelta(hours=7 * number), "amount": write(round(draw.random() * 100, 2))}
        for number in range(200)
    ]
    for number, text in odd.items():
        rows[number]["amount"] = text
    (tmp_path / "orders.csv").write_text(csv_text(rows, delimiter))
    return tmp_path / "orders.csv"


def with_a_comma(number: float) -> str:
    return f"{number:.2f}".replace(".", ",")


def test_a_few_words_among_numbers_are_named_and_counted_and_the_numbers_kept(tmp_path: Path) -> None:
    file = orders(tmp_path, {5: "n/a", 9: "n/a", 12: "free"})
    draft = draft_product(file)
    assert draft.content.roles.value is not None
    (note,) = draft.content.notes
    assert note.startswith("Column amount: 3 of 200 values are no numbers ('n/a' 2 times, 'free' once); the import will refuse these rows")
    assert note.endswith("or keep all rows and leave the column out with --value none.")
    report = imported(file, written(draft, tmp_path / "product"))
    assert (report.admitted, dict(report.rejected)) == (197, {"bad_value": 3})
    whole = draft_product(file, Overrides(value="none"))
    assert whole.content.notes == ()
    assert imported(file, written(whole, tmp_path / "whole")).admitted == 200


@pytest.mark.parametrize("n_words", [50, 100])
def test_many_words_among_numbers_leave_the_column_out_unless_the_person_says_so(n_words: int, tmp_path: Path) -> None:
    file = orders(tmp_path, dict.fromkeys(range(0, 200, 200 // n_words), "n/a"))
    draft = draft_product(file)
    assert draft.content.roles.value is None
    (note,) = draft.content.notes
    assert f"{n_words} of 200 values are no numbers ('n/a' {n_words} times), so it is left out" in note
    assert "say --value amount" in note
    report = imported(file, written(draft_product(file, Overrides(value="amount")), tmp_path / "product"))
    assert (report.admitted, dict(report.rejected)) == (200 - n_words, {"bad_value": n_words})


def test_hardly_any_numbers_are_no_value_and_the_blame_falls_on_what_is_none(tmp_path: Path) -> None:
    file = orders(tmp_path, dict.fromkeys(range(150), "n/a"))
    assert draft_product(file).content.notes == ()
    with pytest.raises(DraftError, match=r"got 150 values that are no numbers among 200, 'n/a', expected numbers; leave those"):
        draft_product(file, Overrides(value="amount"))


def test_decimal_commas_are_recognised_and_it_is_said_what_to_do(tmp_path: Path) -> None:
    file = orders(tmp_path, {5: "n/a", 7: "1.234,50"}, write=with_a_comma)
    draft = draft_product(file)
    assert draft.content.roles.value is None
    (note,) = draft.content.notes
    assert re.search(r"Column amount has numbers with a comma, such as '\d+,\d\d'", note)
    assert re.search(r"write them with a decimal point and nothing between thousands \(\d+\.\d\d\), and run init again", note)
    assert note.endswith("1 of 200 values is no number ('n/a' once).")
    assert "# NOTE: Column amount has numbers with a comma" in draft.product_yaml
    assert imported(file, written(draft, tmp_path / "product")).admitted == 200
    with pytest.raises(DraftError, match=r"--value amount: got numbers with a comma such as '\d+,\d\d', expected \d+\.\d\d; write"):
        draft_product(file, Overrides(value="amount"))


def test_decimal_commas_that_break_the_lines_apart_are_not_called_an_empty_file(tmp_path: Path) -> None:
    file = orders(tmp_path, {}, write=with_a_comma, delimiter=",")
    with pytest.raises(DraftError, match=r"got no rows that fit the header \(line 2 has 4 fields, the header 3; a text or number with ','"):
        draft_product(file)
