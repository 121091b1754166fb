"""Random products for the laws, and one product with a bit of everything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle, islice, product

from hypothesis import strategies as st

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from tests.zone_tables import zone_table

US = timedelta(microseconds=1)
HALF_HOUR = timedelta(minutes=30)
WINDOWS = (None, HALF_HOUR, timedelta(hours=1), timedelta(days=1), timedelta(days=2), timedelta(days=7), timedelta(days=999_999_999))

KINDS = ("login", "click", "hover", "page_view")
UNKNOWN_KIND = "shrug"
"""Happens, but no product of the laws declares it."""

GROUPS = {
    "login": ("login",),
    "click": ("click",),
    "hover": ("hover",),
    "any": KINDS,
    "work": ("click", "login"),
    "page_view": ("page_view",),
    "page_view/pricing": ("page_view/pricing",),
    "click/save": ("click/save",),
    "pages": ("page_view/pricing", "page_view/docs/start"),
    "overlapping": ("page_view", "page_view/pricing", "login"),
}
FUNNELS = {
    "setup": ("login", "click/save", "page_view/pricing"),
    "reading": ("page_view/pricing", "hover", "page_view/docs/start"),
    "entry": ("login",),
}
ZONES = (None, "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
HOURS = ((0, 24), (22, 6), (9, 17), (2, 3), (1, 2), (23, 1))

OLD = tuple(Aggregation)[:8]
"""Aggregations that have nothing but kinds and a window."""

_AGAINST = (
    ("login", "click"),
    ("click", "login"),
    ("login", "login"),
    ("any", "work"),
    ("work", "any"),
    ("page_view/pricing", "page_view"),
    ("page_view", "page_view/pricing"),
    ("pages", "click/save"),
    ("overlapping", "hover"),
)
_APART = (
    ("login", "click"),
    ("hover", "work"),
    ("page_view/pricing", "login"),
    ("work", "overlapping_pages"),
    ("overlapping_pages", "click"),
)
_SETS = {**GROUPS, **FUNNELS, "page_view/docs/start": ("page_view/docs/start",), "overlapping_pages": ("page_view", "page_view/pricing")}

_Fields = dict[str, object]


def _of(name: str, **fields: object) -> _Fields:
    return {"of": name, "kinds": _SETS[name], **fields}


def _against(of: str, to: str, **fields: object) -> _Fields:
    return _of(of, to=to, to_kinds=_SETS[to], **fields)


def _hours(hours: tuple[int, int], zone: str | None) -> _Fields:
    return {"hours": hours, "zone": zone and zone_table(zone)}


_PLAIN = [_of(name) for name in GROUPS]
_PAIRS = [_against(of, to) for of, to in _AGAINST]
_STEPS = [_of(name) for name in FUNNELS]

VARIANTS: dict[Aggregation, list[_Fields]] = dict.fromkeys(Aggregation, _PLAIN)
"""By aggregation, everything but the window."""

VARIANTS |= {
    Aggregation.RATIO: _PAIRS,
    Aggregation.SECONDS_TO_FIRST: _PAIRS,
    Aggregation.SECONDS_TO_NEXT: _PAIRS,
    Aggregation.SECONDS_TO_LAST: _PAIRS,
    Aggregation.SECONDS_WAITING: _PAIRS,
    Aggregation.SHARE_OF_FIRST: [_against(of, to, first=first) for (of, to), first in product(_APART, (1, 2, 3, 100))],
    Aggregation.HOUR_SHARE: [
        _of(name, **_hours(hours, zone)) for (hours, zone), name in zip(product(HOURS, ZONES), list(GROUPS) * 3, strict=True)
    ],
    Aggregation.LAST_KINDS: [_of(name, last=last) for name, last in product(GROUPS, (1, 2, 3, 8))],
    Aggregation.DECAYED_COUNT: [
        _of(name, half_life=half_life)
        for name, half_life in product(GROUPS, (US, HALF_HOUR, timedelta(days=3), timedelta(days=999_999_999)))
    ],
    Aggregation.BURST: [
        _of(name, within=within) for name, within in product(GROUPS, (US, HALF_HOUR, timedelta(days=1), timedelta(days=9_999)))
    ],
    Aggregation.FUNNEL_POSITION: _STEPS,
    Aggregation.SECONDS_AT_STEP: _STEPS,
}


def windows_of(aggregation: Aggregation) -> tuple[timedelta | None, ...]:
    """A trend needs one."""
    return WINDOWS[1:] if aggregation is Aggregation.TREND else WINDOWS


def kinds() -> st.SearchStrategy[tuple[Kind, ...]]:
    keeps = st.tuples(st.sampled_from((1, 2, 3, 64)), st.sampled_from((0, 1, 2)))
    return st.tuples(*(keeps.map(lambda keep, name=name: Kind(name=name, keep=keep[0], keep_first=keep[1])) for name in KINDS))


@st.composite
def features(draw: st.DrawFn) -> Feature:
    aggregation = draw(st.sampled_from(Aggregation))
    fields = draw(st.sampled_from(VARIANTS[aggregation]))
    return Feature(aggregation=aggregation, window=draw(st.sampled_from(windows_of(aggregation))), **fields)


def catalogues() -> st.SearchStrategy[Catalogue]:
    chosen = st.lists(features(), min_size=1, max_size=24, unique_by=lambda feature: feature.name)
    return st.builds(Catalogue, kinds=kinds(), features=chosen.map(tuple))


def full_catalogue(*, keep: int = 64, keep_first: int = 2) -> Catalogue:
    """Every aggregation; the old ones over half of all kinds and windows, the others so that each variant and each window comes up."""
    every = tuple(feature for aggregation in Aggregation for feature in _covering(aggregation))
    return Catalogue(kinds=tuple(Kind(name=name, keep=keep, keep_first=keep_first) for name in KINDS), features=every)


def _covering(aggregation: Aggregation) -> Iterator[Feature]:
    variants, windows = VARIANTS[aggregation], windows_of(aggregation)
    chosen = islice(product(variants, windows), None, None, 2) if aggregation in OLD else _in_turn(variants, windows)
    return (Feature(aggregation=aggregation, window=window, **fields) for fields, window in chosen)


def _in_turn(variants: list[_Fields], windows: tuple[timedelta | None, ...]) -> Iterator[tuple[_Fields, timedelta | None]]:
    """Variants and windows side by side, the shorter list again and again."""
    return zip(*(islice(cycle(each), max(len(variants), len(windows))) for each in (variants, windows)), strict=True)
