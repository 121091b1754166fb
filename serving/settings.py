"""Runtime settings, read once from the environment by `serving.bootstrap`; nobody else reads STILLHERE_* variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from features.home import Home

T = TypeVar("T")


class SettingsError(ValueError):
    """A variable of the environment has a value that cannot be used; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an installation may choose; every field has a default that works on one machine."""

    home: Home  # STILLHERE_HOME
    product_folder: Path  # STILLHERE_PRODUCT
    redis_url: str | None  # STILLHERE_REDIS_URL; None: the bundled Redis
    redis_timeout_s: float  # STILLHERE_REDIS_TIMEOUT_S; the deadline of one call to Redis
    partitions: int  # STILLHERE_PARTITIONS; of the event stream, fixed for the life of an installation
    max_body_bytes: int  # STILLHERE_MAX_BODY_BYTES; of one request
    threads: int  # STILLHERE_THREADS; events admitted and receipts looked up at the same time by one service process
    workers: int  # STILLHERE_WORKERS; processes of the service; 0: one for each core
    log_delay_s: float  # STILLHERE_LOG_DELAY_S; how long the worker gathers events before it writes a raw log file
    export_every_s: float  # STILLHERE_EXPORT_EVERY_S; between two exports of receipts
    follow_s: float  # STILLHERE_FOLLOW_S; between two looks of a service for another policy or champion; 0: only at its start
    wait_s: float  # STILLHERE_WAIT_S; how long a request for a decision waits for its turn before it is told to come back
    empty_route: bool  # STILLHERE_EMPTY_ROUTE; adds a route that does nothing, for benchmarks


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from the variables ``STILLHERE_*``.

    Raises
    ------
    SettingsError
        Naming the variable, what it holds and what it may hold.

    Examples
    --------
    >>> read_settings({"STILLHERE_HOME": "/srv/stillhere"}).home.root.as_posix()
    '/srv/stillhere'
    >>> try:
    ...     read_settings({"STILLHERE_REDIS_TIMEOUT_S": "fast"})
    ... except SettingsError as error:
    ...     print(error)
    STILLHERE_REDIS_TIMEOUT_S is 'fast', expected seconds from 0.001 to 60; correct it or unset it (default: 0.25)
    """

    def read(name: str, default: str, *, parse: Callable[[str], T], expected: str) -> T:
        text = environ.get(f"STILLHERE_{name}", "").strip() or default
        try:
            return parse(text)
        except ValueError as exc:
            hint = f"correct it or unset it (default: {default or 'none'})"
            raise SettingsError(f"STILLHERE_{name} is {text!r}, expected {expected}; {hint}") from exc

    return Settings(
        home=Home(read("HOME", ".stillhere", parse=Path, expected="a folder")),
        product_folder=read("PRODUCT", "products/onboarding", parse=Path, expected="a product folder"),
        redis_url=read("REDIS_URL", "", parse=_redis_url, expected="an address like redis://127.0.0.1:6379/0"),
        redis_timeout_s=read("REDIS_TIMEOUT_S", "0.25", parse=_between(0.001, 60.0), expected="seconds from 0.001 to 60"),
        partitions=read("PARTITIONS", "4", parse=_whole(1, 256), expected="a whole number from 1 to 256"),
        max_body_bytes=read("MAX_BODY_BYTES", "1000000", parse=_whole(1_000, 100_000_000), expected="bytes from 1000 to 100000000"),
        threads=read("THREADS", "4", parse=_whole(1, 64), expected="a whole number from 1 to 64"),
        workers=read("WORKERS", "0", parse=_whole(0, 256), expected="a whole number from 1 to 256, or 0 for one for each core"),
        log_delay_s=read("LOG_DELAY_S", "2", parse=_between(0.0, 600.0), expected="seconds from 0 to 600"),
        export_every_s=read("EXPORT_EVERY_S", "5", parse=_between(0.1, 86_400.0), expected="seconds from 0.1 to 86400"),
        follow_s=read("FOLLOW_S", "5", parse=_between(0.0, 86_400.0), expected="seconds from 0 to 86400"),
        wait_s=read("WAIT_S", "1", parse=_between(0.01, 60.0), expected="seconds from 0.01 to 60"),
        empty_route=read("EMPTY_ROUTE", "no", parse=_yes_or_no, expected="yes or no"),
    )


def _redis_url(text: str) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in {"redis", "rediss", "unix"} or not (parts.hostname or parts.path):
        raise ValueError(text)
    return text


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return parse


def _between(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = float(text)
        if not low <= number <= high:  # also refuses NaN
            raise ValueError(text)
        return number

    return parse


def _yes_or_no(text: str) -> bool:
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]
