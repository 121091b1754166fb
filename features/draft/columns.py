"""What can be seen of a file's columns without knowing what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from features.declarations.log import FileSyntax

NEARLY_ALL = 0.95
"""Share of a column's values that must be of one form for the column to be taken for that form unasked."""


class DraftError(ValueError):
    """No product can be drafted from this file; the text says what was found and which option settles it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column, every value as text. Counts are of the whole file, ``texts`` are a sample of the filled ones."""

    name: str
    n_rows: int
    n_filled: int
    n_distinct: int  # about
    n_numbers: int = 0  # texts that are plain decimal numbers
    n_commas: int = 0  # texts that are numbers with a comma: for the decimals, or between thousands
    decimals: int = 0  # most digits that any number has after the point, trailing zeros left out
    largest: float = 0.0  # greatest absolute value of the numbers
    texts: tuple[str, ...] = ()
    words: tuple[tuple[str, int], ...] = ()  # where most are numbers: the most frequent texts that are none, and how often

    @property
    def is_number(self) -> bool:
        """Whether (nearly) every filled value is a plain decimal number."""
        return self.number_share >= NEARLY_ALL

    @property
    def number_share(self) -> float:
        """Share of the filled values that are plain decimal numbers, 0 to 1."""
        return self.n_numbers / self.n_filled if self.n_filled else 0.0

    @property
    def has_commas(self) -> bool:
        """Whether most filled values are numbers with a comma."""
        return 2 * self.n_commas > self.n_filled

    @property
    def n_words(self) -> int:
        """How many filled values are not of the form that most have: plain numbers, or numbers with a comma."""
        return self.n_filled - (self.n_commas if self.has_commas else self.n_numbers)

    @property
    def is_nested(self) -> bool:
        """Whether values are objects or lists: an import reads plain values only. ``{3F2504E0-...}`` is an id."""
        return any(text[:1] in ("{", "[") and ("," in text or ":" in text) for text in self.texts)

    @property
    def filled(self) -> float:
        """Share of rows with a value, 0 to 1."""
        return self.n_filled / self.n_rows if self.n_rows else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A file at a first look."""

    path: Path
    syntax: FileSyntax
    columns: tuple[Column, ...]
    n_rows: int

    def column(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class KindLook:
    """The rows of one value of the kind column; of all rows where there is none."""

    value: str
    n_rows: int
    busiest: int  # events of a user that 99 of 100 users do not exceed
    n_filled: dict[str, int] = field(default_factory=dict)  # by column: rows of this kind with a value


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the person said; None: guess."""

    user: str | None = None
    time: str | None = None
    kind: str | None = None  # a column, or the name of the one kind that all rows have
    value: str | None = None  # a column, or "none"
    name: str | None = None
    timezone: str | None = None  # of times without an offset
