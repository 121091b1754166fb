"""Types of what a message carries beside its text: sizes are bounded, since each answer, order and receipt has all of it."""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from features.declarations.fields import Name, refuse

MOST_TEXTS, MOST_BLOCKS, MOST_PARAMETERS = 16, 8, 8
_LONGEST_TEXT, _LONGEST_PARAMETER, _LARGEST_NUMBER = 2_000, 200, 1_000_000_000
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def _at_most(limit: int, what: str) -> AfterValidator:
    def check(entries: Sized) -> Sized:
        if len(entries) > limit:
            raise refuse(f"at most {limit} {what}", f"these are {len(entries)}; leave some out")
        return entries

    return AfterValidator(check)


def _template(text: str) -> str:
    if not text.strip():
        raise refuse("text that is more than spaces", "leave the name out; {attribute|} is empty for users who have not set it")
    return text


def _parameter(value: Any) -> Any:
    if isinstance(value, str) and _SURROGATE.search(value):
        raise refuse("text of whole characters", "write the character itself and not its halves")  # which no JSON can hold
    if isinstance(value, str) and {"{", "}"} & set(value):
        raise refuse("text without placeholders: blocks are passed on as they stand", "fill it in under content instead")
    if not _is_plain(value):
        expected = f"a whole number of 0 to {_LARGEST_NUMBER:,}, true, false or text of 1 to {_LONGEST_PARAMETER} characters"
        raise refuse(expected, _remedy(value))
    return value


def _remedy(value: Any) -> str:
    """What to write instead of what is no parameter."""
    if value is None or value == "":
        return "leave the parameter out where it has no value"
    if isinstance(value, int | float):
        return "count in a smaller or larger unit, or put the number in quotes to pass it on as text"
    if isinstance(value, str):
        return "shorten it"
    return "parameters are flat: what belongs together is one block, what does not is another"


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST_PARAMETER
    return isinstance(value, int) and 0 <= value <= _LARGEST_NUMBER  # true and false among them


_Template = Annotated[str, Field(min_length=1, max_length=_LONGEST_TEXT), AfterValidator(_template)]
_Parameter = Annotated[bool | int | str, BeforeValidator(_parameter)]
_Parameters = Annotated[dict[Name, _Parameter], _at_most(MOST_PARAMETERS, "parameters of a block")]

ContentTexts = Annotated[dict[Name, _Template], _at_most(MOST_TEXTS, "texts under content")]
FetchedBlocks = Annotated[dict[Name, _Parameters], _at_most(MOST_BLOCKS, "blocks of a message")]
