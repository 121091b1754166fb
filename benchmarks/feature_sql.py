"""The same features as one SQL query, written for DuckDB as well as we know how.

One pass over the join of spine and log with FILTER aggregates for what is additive; and, since every window ends at as_of,
one pass each for what is distinct: group by (row, thing), keep the age of its newest event, and count those younger than
each window. That was faster than ``count(DISTINCT ...) FILTER`` for every window, which is the obvious way to write it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta

from features.core.catalogue import Aggregation, Catalogue, Feature

DAY_US = 86_400_000_000
GAP_US = 30 * 60 * 1_000_000

ByGroup = dict[str, list[Feature]]


def query(catalogue: Catalogue) -> str:
    """SQL over the tables ``log`` and ``spine``: one row per spine row in order, one column per feature, named after it."""
    codes = {kind.name: code for code, kind in enumerate(catalogue.kinds)}
    parts = {"plain": _plain(catalogue, codes)}
    for aggregation, build in _DISTINCT.items():
        by_group: ByGroup = defaultdict(list)
        for feature in catalogue.features:
            if feature.aggregation in _TOGETHER.get(aggregation, (aggregation,)):
                by_group[feature.of].append(feature)
        for of, features in by_group.items():
            parts[f"{aggregation.value}_{of}"] = build(features, _in(features[0], codes))
    joins = " ".join(f"LEFT JOIN ({sql}) AS {name} USING (row)" for name, sql in parts.items())
    columns = ", ".join(_output(feature) for feature in catalogue.features)
    return f"WITH j AS MATERIALIZED ({_JOIN}) SELECT {columns} FROM spine {joins} ORDER BY row"


_JOIN = f"""
    SELECT row, kind, event_hash, subject, value, session, as_of_us - (occurred_us - skew_us) AS age,
           (occurred_us - skew_us) // {DAY_US} AS day, as_of_us // {DAY_US} AS today
    FROM spine JOIN log USING (user) WHERE known_us <= as_of_us"""


def _plain(catalogue: Catalogue, codes: dict[str, int]) -> str:
    expressions = {
        Aggregation.COUNT: "count(*)",
        Aggregation.SUM: "sum(value)",
        Aggregation.SECONDS_SINCE_LAST: "min(age)",
        Aggregation.SECONDS_SINCE_FIRST: "max(age)",
    }
    columns = [
        f"{expressions[feature.aggregation]} FILTER ({_in(feature, codes)} AND {_young(feature)}) AS {feature.name}"
        for feature in catalogue.features
        if feature.aggregation in expressions
    ]
    return f"SELECT row, {', '.join(columns)} FROM j GROUP BY row"


def _subjects(features: Sequence[Feature], where: str) -> str:
    newest = f"SELECT row, subject, min(age) AS age FROM j WHERE subject <> 0 AND {where} GROUP BY row, subject"
    return f"SELECT row, {_young_counts(features)} FROM ({newest}) GROUP BY row"


def _days(features: Sequence[Feature], where: str) -> str:
    newest = f"SELECT row, today, day, min(age) AS age FROM j WHERE {where} GROUP BY row, today, day"
    counts = [feature for feature in features if feature.aggregation is Aggregation.ACTIVE_DAYS]
    streaks = [
        # Days in descending order; day number i of an unbroken run that begins at most one day ago is the first day less i - 1.
        f"""coalesce(len(list_filter(list(day ORDER BY day DESC) FILTER ({_young(feature)}),
                                     lambda d, i: d + i - 1 = max(day) FILTER ({_young(feature)})))
                     * (max(day) FILTER ({_young(feature)}) >= any_value(today) - 1)::INT, 0) AS {feature.name}"""
        for feature in features
        if feature.aggregation is Aggregation.STREAK_DAYS
    ]
    return f"SELECT row, {', '.join([*([_young_counts(counts)] if counts else []), *streaks])} FROM ({newest}) GROUP BY row"


def _sessions(features: Sequence[Feature], where: str) -> str:
    named = f"SELECT row, min(age) AS age, NULL AS older FROM j WHERE session <> 0 AND {where} GROUP BY row, session"
    older = "lag(age) OVER (PARTITION BY row ORDER BY age DESC, event_hash)"
    unnamed = f"SELECT row, age, coalesce({older}, {1 << 62}) AS older FROM j WHERE session = 0 AND {where}"
    columns = [
        # A run begins at an event whose older neighbour lies outside the window or more than the gap before it.
        f"""count(*) FILTER ({_young(feature)} AND (older IS NULL OR NOT {_young(feature, "older")} OR older - age > {GAP_US}))
            AS {feature.name}"""
        for feature in features
    ]
    return f"SELECT row, {', '.join(columns)} FROM ({named} UNION ALL {unnamed}) GROUP BY row"


_TOGETHER = {Aggregation.ACTIVE_DAYS: (Aggregation.ACTIVE_DAYS, Aggregation.STREAK_DAYS)}
_DISTINCT: dict[Aggregation, Callable[[Sequence[Feature], str], str]] = {
    Aggregation.DISTINCT_SUBJECTS: _subjects,
    Aggregation.ACTIVE_DAYS: _days,
    Aggregation.SESSION_COUNT: _sessions,
}


def _young_counts(features: Sequence[Feature]) -> str:
    return ", ".join(f"count(*) FILTER ({_young(feature)}) AS {feature.name}" for feature in features)


def _young(feature: Feature, age: str = "age") -> str:
    limit_us = 1 << 61 if feature.window is None else feature.window // timedelta(microseconds=1)
    return f"{age} < {limit_us}"


def _in(feature: Feature, codes: dict[str, int]) -> str:
    if len(feature.kinds) == len(codes):
        return "true"
    if len(feature.kinds) == 1:
        return f"kind = {codes[feature.kinds[0]]}"
    return f"kind IN ({', '.join(str(codes[kind]) for kind in feature.kinds)})"


def _output(feature: Feature) -> str:
    if feature.aggregation in {Aggregation.SECONDS_SINCE_LAST, Aggregation.SECONDS_SINCE_FIRST}:
        return f"({feature.name} / 1e6)::DOUBLE AS {feature.name}"
    return f"coalesce({feature.name}, 0)::DOUBLE AS {feature.name}"
