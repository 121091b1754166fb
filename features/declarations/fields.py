"""Types of single values in declarations; each says in one phrase what it expects."""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from features.declarations.durations import DURATION_EXPECTED, parse_duration
from features.declarations.log import EPOCH_FORMATS, ISO_FORMAT

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
_LONGEST_NAME = 60


def refuse(expected: str, advice: str = "") -> PydanticCustomError:
    """Make the error that a validator raises; `features.declarations.schema_faults` reads it back."""
    return PydanticCustomError("declaration", "{expected}", {"expected": expected, "advice": advice})


def _name(text: str) -> str:
    if len(text) > _LONGEST_NAME or _NAME.fullmatch(text) is None:
        raise refuse("a name such as login_failed", "use lower-case letters, digits and single underscores, at most 60")
    return text


def _selector(text: str) -> str:
    kind, slash, subject = text.partition("/")
    _name(kind)
    if slash and not subject.strip():
        raise refuse("a kind such as page_view, or a kind and a subject such as page_view/pricing", "write the subject behind the slash")
    return text


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    try:
        return parse_duration(value)
    except (ValueError, TypeError) as exc:
        raise refuse(DURATION_EXPECTED) from exc


def _positive(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise refuse("a duration longer than nothing")
    return duration


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - {"localtime", "posixrules", "Factory"}  # this machine's own, and no zone


def _zone(text: str) -> str:
    if text not in _zones():
        raise refuse("an IANA time zone such as UTC or Europe/Berlin")
    return text


def _time_format(text: str) -> str:
    if text not in (ISO_FORMAT, *EPOCH_FORMATS) and not _is_pattern(text):
        raise refuse(f'{ISO_FORMAT}, {", ".join(EPOCH_FORMATS)} or a strptime pattern such as "%d.%m.%Y %H:%M"')
    return text


def _is_pattern(text: str) -> bool:
    try:
        datetime.strptime("", text)  # noqa: DTZ007  only the pattern is tried, no instant is made
    except ValueError as exc:
        return "%" in text and "does not match" in str(exc)
    return False


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Name = Annotated[str, AfterValidator(_name)]
Selector = Annotated[str, AfterValidator(_selector)]
"""A kind, group or funnel, or a kind and a subject: ``page_view/pricing``."""
Text = Annotated[str, Field(min_length=1)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
PositiveDuration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]
TimeZone = Annotated[str, AfterValidator(_zone)]
TimeFormat = Annotated[str, AfterValidator(_time_format)]
OneOrMore = BeforeValidator(_as_list)
"""In ``Annotated[list[T], OneOrMore]``: a single text stands for a list of one."""
