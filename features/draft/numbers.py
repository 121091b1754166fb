"""Which integer unit a column of numbers is stored in."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from features.draft.columns import NEARLY_ALL, Column
from features.draft.names import snake
from features.draft.words import VALUES

MONEY = ("amount", "price", "revenue", "total", "spend", "spent", "cost", "sales", "paid", "payment", "gmv", "fee", "usd", "eur", "gbp")
SECONDS = ("seconds", "secs", "sec", "duration", "dwell", "elapsed", "time_spent", "length", "s")
SAID_SO = 0.5
"""Share of a column's values that must be numbers where the person named the column."""

_MOST_DECIMALS = 6
_WRITE = "write them with a decimal point and nothing between thousands"
_INT64_MAX = 2**63 - 1
_CENTS, _THOUSANDTHS = 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueGuess:
    """A column's numbers as integers: value = number * multiplier, in ``unit``."""

    column: str
    unit: str
    multiplier: int = 1


def guess_value(column: Column, *, at_least: float = NEARLY_ALL) -> ValueGuess | None:
    """The unit in which every number of the column is an integer; None when it holds other things, or no such unit is near.

    Parameters
    ----------
    at_least
        Share of the filled values that must be numbers; the others are told by `notes_on_numbers`.

    Examples
    --------
    >>> def numbers(name, decimals):
    ...     return Column(name=name, n_rows=9, n_filled=9, n_distinct=9, n_numbers=9, decimals=decimals, largest=1e4)
    >>> guess_value(numbers("amount", 2))
    ValueGuess(column='amount', unit='cents', multiplier=100)
    >>> guess_value(numbers("n_cds", 0)).unit, guess_value(numbers("duration", 3)).unit, guess_value(numbers("score", 9))
    ('n_cds', 'ms', None)
    """
    if not column.n_numbers or column.number_share < at_least or column.decimals > _MOST_DECIMALS:
        return None
    unit, decimals = _unit(snake(column.name), column.decimals)
    multiplier = 10**decimals
    if column.largest * multiplier > _INT64_MAX:
        return None
    return ValueGuess(column=column.name, unit=unit, multiplier=multiplier)


def why_no_value(column: Column) -> str:
    """What keeps the column that the person named from being the value, and what to do.

    Examples
    --------
    >>> why_no_value(Column(name="amount", n_rows=9, n_filled=9, n_distinct=9, n_commas=9, texts=("3,5",)))
    "got numbers with a comma such as '3,5', expected 3.5; write them with a decimal point and nothing between thousands"
    """
    if column.has_commas:
        example = next(text for text in column.texts if "," in text)
        return f"got numbers with a comma such as {example!r}, expected {_with_a_point(example)}; {_WRITE}"
    if 0 < column.number_share < SAID_SO:
        return (
            f"got {column.n_words:,} values that are no numbers among {column.n_filled:,}, {_shown(column)}, expected numbers; "
            "leave those fields empty, or give the numbers a column of their own"
        )
    return f"got values such as {_shown(column)}, expected numbers with at most {_MOST_DECIMALS} decimals"


def notes_on_numbers(columns: Iterable[Column], *, value: str | None, unused: Container[str]) -> list[str]:
    """What is no number in the value column, and which columns were left out though most of them is numbers.

    Parameters
    ----------
    value
        The value column, if there is one.
    unused
        Names of the columns without a role.
    """
    notes = []
    for column in columns:
        if column.name == value and column.n_words:
            notes.append(
                f"{_said(column)}; the import will refuse these rows and keep the others. Write a number there, or keep all rows "
                "and leave the column out with --value none."
            )
        elif column.name in unused and column.has_commas:
            example = next(text for text in column.texts if "," in text)
            also = f" {_said(column)}." if column.n_words else ""
            notes.append(
                f"Column {column.name} has numbers with a comma, such as {example!r}, which the import cannot read, so it is left out. "
                f"To use it, {_WRITE} ({_with_a_point(example)}), and run init again.{also}"
            )
        elif column.name in unused and SAID_SO <= column.number_share < NEARLY_ALL and _is_value(column.name):
            notes.append(
                f"{_said(column)}, so it is left out. To use it, write numbers there and run init again, or say --value {column.name}: "
                "the import will then refuse these rows and keep the others."
            )
    return notes


def _said(column: Column) -> str:
    """How many values are no numbers, and which."""
    named = ", ".join(f"{text[:40]!r} {'once' if count == 1 else f'{count:,} times'}" for text, count in column.words)
    more = ", ..." if column.n_words > sum(count for _, count in column.words) else ""
    are = "is no number" if column.n_words == 1 else "are no numbers"
    return f"Column {column.name}: {column.n_words:,} of {column.n_filled:,} values {are} ({named}{more})"


def _shown(column: Column) -> str:
    texts = dict.fromkeys(text for text in column.texts if not column.n_numbers or _is_no_number(text))
    return ", ".join(repr(text[:40]) for text in list(texts or column.texts)[:3]) or "none"


def _is_no_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return True
    return False


def _with_a_point(text: str) -> str:
    """The number as the import reads it, as far as that can be told: the last separator is the decimal one.

    Examples
    --------
    >>> _with_a_point("3,5"), _with_a_point("1.234,50"), _with_a_point("1,234.50")
    ('3.5', '1234.50', '1234.50')
    """
    last = max(text.rfind(","), text.rfind("."))
    whole = "".join(char for char in text[:last] if char in "+-0123456789")
    return f"{whole}.{text[last + 1 :]}"


def _is_value(name: str) -> bool:
    return is_money(name) or snake(name) in VALUES


def is_money(name: str) -> bool:
    """Whether a column of this name holds money.

    Examples
    --------
    >>> is_money("order_total"), is_money("amount_usd"), is_money("quantity")
    (True, True, False)
    """
    return any(word in MONEY for word in snake(name).split("_"))


def _unit(name: str, decimals: int) -> tuple[str, int]:
    """Unit, and digits after the point that it takes in."""
    if 0 < decimals <= _CENTS and is_money(name):
        return "cents", _CENTS
    if 0 < decimals <= _THOUSANDTHS and any(name == word or name.endswith(f"_{word}") for word in SECONDS):
        return "ms", _THOUSANDTHS
    if decimals:
        return f"{name or 'value'} / {10**decimals}", decimals
    return next((unit for unit in ("ms", "cents", "seconds", "minutes", "count") if name.endswith(unit)), name or "value"), 0
