"""Names as product.yaml wants them, and column names as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST = 60
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER = re.compile(r"[^a-z0-9]+")


def snake(text: str) -> str:
    """Lower-case words joined by single underscores; may be empty.

    Examples
    --------
    >>> snake("userId"), snake("Customer ID"), snake("  n-CDs "), snake("???")
    ('user_id', 'customer_id', 'n_cds', '')
    """
    return _OTHER.sub("_", _CAMEL.sub("_", text.strip()).lower()).strip("_")


def as_name(text: str, *, prefix: str) -> str:
    """A name that product.yaml accepts; what does not begin with a letter gets a prefix.

    Examples
    --------
    >>> as_name("Page View", prefix="kind"), as_name("3", prefix="kind"), as_name("购买", prefix="kind")
    ('page_view', 'kind_3', 'kind')
    """
    name = snake(text)
    if not name[:1].isalpha():
        name = f"{prefix}_{name}".rstrip("_")
    return name[:_LONGEST].rstrip("_")


def kind_names(values: Sequence[str]) -> dict[str, str]:
    """A kind for each value of a kind column, every value another one.

    Examples
    --------
    >>> kind_names(["login", "Log-In", "login_2", "购买"])
    {'login': 'login', 'Log-In': 'log_in', 'login_2': 'login_2', '购买': 'kind'}
    >>> kind_names(["a b", "a-b"])
    {'a b': 'a_b', 'a-b': 'a_b_2'}
    >>> kind_names(["x", "y"])
    {'x': 'x', 'y': 'y_kind'}
    """
    names: dict[str, str] = {}
    for value in values:
        first = as_name(value, prefix="kind")
        if first == "y" or first.endswith("_y"):  # features named after it would be lost in Feast's joins
            first += "_kind"
        name, number = first, 2
        while name in names.values():
            name, number = f"{first[: _LONGEST - 5]}_{number}", number + 1
        names[value] = name
    return names


def product_name(stem: str) -> str:
    """A product's name from a file's: ``CDNOW_master.csv.gz`` is cdnow_master."""
    return as_name(stem.split(".", maxsplit=1)[0], prefix="product")
