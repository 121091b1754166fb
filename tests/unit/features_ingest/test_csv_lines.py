from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from features.ingest.csv_lines import MAX_LINES_PER_RECORD, CsvParser, CsvRecord, LineSource


def parsed(text: str | bytes, delimiter: str = ",") -> list[CsvRecord]:
    content = text.encode() if isinstance(text, str) else text
    return list(CsvParser(LineSource(content.splitlines(keepends=True)), delimiter))


def fields(text: str | bytes, delimiter: str = ",") -> list[list[str]]:
    return [record.fields for record in parsed(text, delimiter)]


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=8)


@given(rows=st.lists(st.lists(FIELD, min_size=2, max_size=4), max_size=5), delimiter=st.sampled_from([",", ";", "\t"]))
def test_what_a_csv_writer_writes_is_read_back(rows: list[list[str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows(rows)
    lines = io.BytesIO(file.getvalue().encode())
    assert [record.fields for record in CsvParser(LineSource(lines), delimiter)] == rows


def test_a_stray_quote_costs_its_own_line_only() -> None:
    rest = "".join(f"u{number},home\n" for number in range(100))
    records = parsed('user,page\nada,"home\n' + rest)
    assert [record.line for record in records if record.problem] == [2]
    assert records[1].raw == 'ada,"home'
    assert records[1].problem == "got a quote that is wrong or never closed (unexpected end of data), expected CSV"
    assert len(records) == 102


def test_a_quote_inside_an_unquoted_field_is_text() -> None:
    assert fields('5" screen,x\n') == [['5" screen', "x"]]


def test_a_quoted_field_may_span_lines_up_to_a_limit() -> None:
    within, beyond = MAX_LINES_PER_RECORD - 1, MAX_LINES_PER_RECORD + 1
    assert fields('"' + "x\n" * within + '",y\n') == [["x\n" * within, "y"]]
    assert parsed('"' + "x\n" * beyond + '",y\n')[0].problem


def test_line_ends_empty_lines_and_a_missing_last_line_end_do_not_matter() -> None:
    assert fields("a,b\r\n\r\nc,d\n\ne,f") == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert [record.line for record in parsed("a,b\r\n\r\nc,d\n\ne,f")] == [1, 3, 5]


def test_a_line_that_is_not_utf8_is_a_problem_of_that_line() -> None:
    records = parsed(b"a,b\n\xff\xfe,c\nd,e\n")
    assert [bool(record.problem) for record in records] == [False, True, False]
    assert "UTF-8" in records[1].problem
