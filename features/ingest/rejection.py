"""What a refusal looks like, and the checks of text that every item shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from features.ingest.admission import ProfileChange

MAX_ID_CHARS = 128
MAX_TEXT_CHARS = 256
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1

_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why one item was refused; a value, not an exception."""

    code: str  # one of the table in `features.ingest.admission`
    field: str  # path inside the item: "occurred_at", "traits.plan", or the column of a file; "" for the item itself
    message: str  # what, got, expected
    taken: ProfileChange | None = None  # what counts of the item all the same: a no to being tracked


class RefusedError(Exception):
    """Carries a `Rejection` up to the border of this package; callers of the package only ever see the value."""

    def __init__(self, code: str, field: str, *, got: str, expected: str) -> None:
        message = f"{field or 'item'}: got {got}, expected {expected}"
        super().__init__(message)
        self.rejection = Rejection(code=code, field=field, message=message)


def checked_id(text: object, field: str, *, name: str | None = None) -> str:
    """Pass an id through: text of 1 to 128 characters, not blank, without NUL or lone surrogates.

    Raises
    ------
    RefusedError
        ``missing_<name>``, ``bad_<field>`` or ``<field>_too_long``; ``name`` is the field unless given.
    """
    if text is None:
        raise RefusedError(f"missing_{name or field}", field, got="nothing", expected=f"text of 1 to {MAX_ID_CHARS} characters")
    if not is_clean_text(text):
        expected = f"text of 1 to {MAX_ID_CHARS} characters, not blank, without NUL"
        raise RefusedError(f"bad_{field}", field, got=shown(text), expected=expected)
    clean = str(text)
    if len(clean) > MAX_ID_CHARS:
        raise RefusedError(f"{field}_too_long", field, got=f"{len(clean)} characters", expected=f"at most {MAX_ID_CHARS}")
    return clean


def is_clean_text(text: object) -> bool:
    """Whether every store can hold it: text, not blank, no NUL, encodable as UTF-8 (JSON can smuggle lone surrogates in).

    Examples
    --------
    >>> [is_clean_text(text) for text in ("ada", "", "  ", "a" + chr(0), chr(0xD800), 7)]
    [True, False, False, False, False, False]
    """
    if not isinstance(text, str) or not text or text.isspace() or "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def shown(value: object) -> str:
    """Show the value so that a person recognises it, however large it is.

    Examples
    --------
    >>> shown(None), shown("7"), shown("x" * 1000), shown(10**5000)
    ('nothing', "'7'", "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...", 'an integer beyond 64 bits')
    """
    if value is None:
        return "nothing"
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        return "an integer beyond 64 bits"
    text = repr(value[: _SHOWN_CHARS + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN_CHARS + 2 else text[:_SHOWN_CHARS] + "..."
