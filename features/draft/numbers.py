"""Which integer unit a column of numbers is stored in."""

from __future__ import annotations

from dataclasses import dataclass

from features.draft.columns import Column
from features.draft.names import snake

MONEY = ("amount", "price", "revenue", "total", "spend", "spent", "cost", "sales", "paid", "payment", "gmv", "fee", "usd", "eur", "gbp")
SECONDS = ("seconds", "secs", "sec", "duration", "dwell", "elapsed", "time_spent", "length", "s")
_MOST_DECIMALS = 6
_INT64_MAX = 2**63 - 1
_CENTS, _THOUSANDTHS = 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueGuess:
    """A column's numbers as integers: value = number * multiplier, in ``unit``."""

    column: str
    unit: str
    multiplier: int = 1


def guess_value(column: Column) -> ValueGuess | None:
    """The unit in which every number of the column is an integer; None when it holds other things, or no such unit is near.

    Examples
    --------
    >>> def numbers(name, decimals):
    ...     return Column(name=name, n_rows=9, n_filled=9, n_distinct=9, n_numbers=9, decimals=decimals, largest=1e4)
    >>> guess_value(numbers("amount", 2))
    ValueGuess(column='amount', unit='cents', multiplier=100)
    >>> guess_value(numbers("n_cds", 0)).unit, guess_value(numbers("duration", 3)).unit, guess_value(numbers("score", 9))
    ('n_cds', 'ms', None)
    """
    if not column.is_number or column.decimals > _MOST_DECIMALS:
        return None
    unit, decimals = _unit(snake(column.name), column.decimals)
    multiplier = 10**decimals
    if column.largest * multiplier > _INT64_MAX:
        return None
    return ValueGuess(column=column.name, unit=unit, multiplier=multiplier)


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
