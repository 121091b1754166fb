"""CSV, a record at a time, such that a stray quote costs one line and not the rest of the file."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_LINES_PER_RECORD = 20
"""A quoted field may span lines; a record of more lines than this is taken for a stray quote."""

_UNCLOSED = "unexpected end of data"


@dataclass(frozen=True, slots=True)
class CsvRecord:
    """The fields of one record, or what is wrong with its first line."""

    line: int  # 1-based number of its first line
    fields: list[str]
    raw: str
    problem: str = ""


class LineSource:
    """Numbered lines that can be handed back and are then read again."""

    def __init__(self, lines: Iterable[bytes | str]) -> None:
        self._lines = enumerate(lines, start=1)
        self._returned: deque[tuple[int, bytes | str]] = deque()

    def __iter__(self) -> Iterator[tuple[int, bytes | str]]:
        return self

    def __next__(self) -> tuple[int, bytes | str]:
        return self._returned.popleft() if self._returned else next(self._lines)

    def hand_back(self, lines: Iterable[tuple[int, bytes | str]]) -> None:
        """Read these again, in this order, before anything else."""
        self._returned.extendleft(reversed(list(lines)))


class CsvParser:
    r"""Records of a `LineSource`: RFC 4180, UTF-8, with LF or CRLF; empty lines are skipped.

    A line with an unclosed quote is joined with the lines after it until it is whole, at most `MAX_LINES_PER_RECORD`; if it never is,
    that line alone is a problem and reading goes on with the line after it.

    Examples
    --------
    >>> lines = [b'user,page\n', b'ada,"a ""quoted"" page"\n', b'bob,"two\n', b'lines"\n', b'"stray\n', b'eve,home\n']
    >>> [(record.line, record.fields or record.problem) for record in CsvParser(LineSource(lines), ",")]  # doctest: +ELLIPSIS
    [(1, ['user', 'page']), (2, ['ada', 'a "quoted" page']), (3, ['bob', 'two\nlines']), (5, 'got a quote ...'), (6, ['eve', 'home'])]
    """

    def __init__(self, source: LineSource, delimiter: str) -> None:
        self._source = source
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[CsvRecord]:
        for line, content in self._source:
            if isinstance(content, str):  # the source ends early and says why
                yield CsvRecord(line, [], "", content)
                continue
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError as exc:
                raw = content.decode("utf-8", errors="replace").rstrip("\r\n")
                yield CsvRecord(line, [], raw, f"got bytes that are not UTF-8 ({exc.reason}), expected UTF-8 text")
                continue
            if '"' in text:
                yield self._quoted(line, text)
            elif bare := text.rstrip("\r\n"):
                yield CsvRecord(line, bare.split(self._delimiter), bare)

    def _quoted(self, line: int, text: str) -> CsvRecord:
        joined = [text]
        taken: list[tuple[int, bytes | str]] = []
        problem = ""
        while len(joined) <= MAX_LINES_PER_RECORD:
            try:
                fields = next(csv.reader(joined, delimiter=self._delimiter, strict=True))
                return CsvRecord(line, fields, "".join(joined).rstrip("\r\n"))
            except csv.Error as exc:
                problem = str(exc)
            if problem != _UNCLOSED or (following := next(self._source, None)) is None:
                break
            taken.append(following)
            joined.append(following[1].decode("utf-8", errors="replace") if isinstance(following[1], bytes) else "")
        self._source.hand_back(taken)
        return CsvRecord(line, [], text.rstrip("\r\n"), f"got a quote that is wrong or never closed ({problem}), expected CSV")
