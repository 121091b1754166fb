"""The same features with pandas, in the two ways that people write them, on a sample that both can finish.

*Windows*: for each (user, as_of) the user's events are cut out, and each feature filters them by kind and window. *Joined*: spine and log
are merged on the user once, and each feature is one groupby over all rows. Each gives the kernel's numbers, or the run ends.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks import report
from benchmarks.feature_sample import EIGHTY, catalogue, columns_of, simulated_log, simulated_spine
from features.core.catalogue import Aggregation, Catalogue, Feature
from features.core.kernel import batch_vectors
from features.core.program import compile_program

DAY_US = 86_400_000_000
GAP_US = 30 * 60 * 1_000_000
EVENTS, USERS, ROWS = 100_000, 1_000, 4_000
SAMPLE_ROWS = 200
"""Rows that the windows are cut for; its time is scaled up to all of them."""


def beside_pandas() -> list[dict[str, object]]:
    """Figures of both ways beside the kernel on the same sample; the kernel's time is the median of 15."""
    products = catalogue(EIGHTY)
    log, spine = simulated_log(EVENTS, USERS), simulated_spine(ROWS, USERS)
    program = compile_program(products)
    user, as_of_us = (spine[name].to_numpy() for name in ("user", "as_of_us"))
    expected = batch_vectors(columns_of(log), USERS, user, as_of_us, program)
    kernel_s = statistics.median(_seconds(lambda: batch_vectors(columns_of(log), USERS, user, as_of_us, program))[0] for _ in range(15))
    events, rows = _prepared(log.to_pandas(), products), spine.to_pandas()
    cut_s, cut = _seconds(lambda: _by_windows(events, rows.head(SAMPLE_ROWS), products))
    joined_s, joined = _seconds(lambda: _by_join(events, rows, products))
    _check_equal(cut, expected[:SAMPLE_ROWS], products)
    _check_equal(joined, expected, products)
    shape = f"{EVENTS:,} events, {ROWS:,} rows, {len(products.features)} features, kernel {1e3 * kernel_s:.1f} ms"
    cut_s *= ROWS / SAMPLE_ROWS
    return [
        report.row("pandas ratio", cut_s / kernel_s, "times", reference=f"windows cut for each row: {cut_s:.0f} s; {shape}", at_least=500),
        report.row("pandas joined ratio", joined_s / kernel_s, "times", reference=f"one groupby a feature: {joined_s:.1f} s; {shape}"),
    ]


def _prepared(events: pd.DataFrame, products: Catalogue) -> pd.DataFrame:
    """Effective times, days, and names of the kinds; in order of time, so that neighbours are neighbours."""
    names = np.array([kind.name for kind in products.kinds])
    at = events["occurred_us"] - events["skew_us"]
    return events.assign(at=at, day=at // DAY_US, kind=names[events["kind"]]).sort_values(["at", "event_hash"], ignore_index=True)


def _by_windows(events: pd.DataFrame, rows: pd.DataFrame, products: Catalogue) -> pd.DataFrame:
    of_user = dict(list(events.groupby("user")))
    answers = []
    for row in rows.itertuples():
        past = of_user.get(row.user, events.head(0))
        known = past[past["known_us"] <= row.as_of_us]
        answers.append({feature.name: _of_one(feature, known, row.as_of_us) for feature in products.features})
    return pd.DataFrame(answers)


def _of_one(feature: Feature, known: pd.DataFrame, as_of_us: int) -> float:
    chosen = known[known["kind"].isin(feature.kinds) & (known["at"] > as_of_us - _window_us(feature))]
    return float(_ONE[feature.aggregation](chosen, as_of_us))


def _streak(days: list[int], today: int) -> int:
    active = set(days)
    last = today if today in active else today - 1
    n = 0
    while last - n in active:
        n += 1
    return n


def _sessions(chosen: pd.DataFrame) -> int:
    unnamed = chosen.loc[chosen["session"] == 0, "at"]
    runs = int((unnamed.diff() > GAP_US).sum()) + (len(unnamed) > 0)
    return int(chosen.loc[chosen["session"] != 0, "session"].nunique()) + runs


_ONE: dict[Aggregation, Callable[[pd.DataFrame, int], float]] = {
    Aggregation.COUNT: lambda chosen, _: len(chosen),
    Aggregation.SUM: lambda chosen, _: chosen["value"].sum(),
    Aggregation.DISTINCT_SUBJECTS: lambda chosen, _: chosen.loc[chosen["subject"] != 0, "subject"].nunique(),
    Aggregation.SECONDS_SINCE_LAST: lambda chosen, as_of_us: (as_of_us - chosen["at"].max()) / 1e6,
    Aggregation.SECONDS_SINCE_FIRST: lambda chosen, as_of_us: (as_of_us - chosen["at"].min()) / 1e6,
    Aggregation.ACTIVE_DAYS: lambda chosen, _: chosen["day"].nunique(),
    Aggregation.SESSION_COUNT: lambda chosen, _: _sessions(chosen),
    Aggregation.STREAK_DAYS: lambda chosen, as_of_us: _streak(chosen["day"].tolist(), as_of_us // DAY_US),
}


def _by_join(events: pd.DataFrame, rows: pd.DataFrame, products: Catalogue) -> pd.DataFrame:
    joined = rows.merge(events, on="user")
    joined = joined[joined["known_us"] <= joined["as_of_us"]].sort_values(["row", "at", "event_hash"])
    answers = {}
    for feature in products.features:
        young = joined["at"] > joined["as_of_us"] - _window_us(feature)
        chosen = joined[joined["kind"].isin(feature.kinds) & young]
        answer = _ALL[feature.aggregation](chosen).reindex(rows["row"])
        is_age = feature.aggregation in {Aggregation.SECONDS_SINCE_LAST, Aggregation.SECONDS_SINCE_FIRST}
        answers[feature.name] = (answer if is_age else answer.fillna(0)).to_numpy(float)
    return pd.DataFrame(answers)


def _all_sessions(chosen: pd.DataFrame) -> pd.Series:
    unnamed = chosen[chosen["session"] == 0]
    gaps = unnamed.groupby("row")["at"].diff()
    runs = (gaps.isna() | (gaps > GAP_US)).groupby(unnamed["row"]).sum()
    return chosen[chosen["session"] != 0].groupby("row")["session"].nunique().add(runs, fill_value=0)


def _all_streaks(chosen: pd.DataFrame) -> pd.Series:
    """Of the different days from the newest back: those that lie as far before the first as their place says."""
    days = chosen[["row", "day", "as_of_us"]].drop_duplicates(["row", "day"]).sort_values(["row", "day"], ascending=[True, False])
    by_row = days.groupby("row")
    newest, today = by_row["day"].transform("first"), days["as_of_us"] // DAY_US
    unbroken = (newest - days["day"] == by_row.cumcount()) & (newest >= today - 1)
    return unbroken.groupby(days["row"]).sum()


_ALL: dict[Aggregation, Callable[[pd.DataFrame], pd.Series]] = {
    Aggregation.COUNT: lambda chosen: chosen.groupby("row").size(),
    Aggregation.SUM: lambda chosen: chosen.groupby("row")["value"].sum(),
    Aggregation.DISTINCT_SUBJECTS: lambda chosen: chosen[chosen["subject"] != 0].groupby("row")["subject"].nunique(),
    Aggregation.SECONDS_SINCE_LAST: lambda chosen: (chosen["as_of_us"] - chosen["at"]).groupby(chosen["row"]).min() / 1e6,
    Aggregation.SECONDS_SINCE_FIRST: lambda chosen: (chosen["as_of_us"] - chosen["at"]).groupby(chosen["row"]).max() / 1e6,
    Aggregation.ACTIVE_DAYS: lambda chosen: chosen.groupby("row")["day"].nunique(),
    Aggregation.SESSION_COUNT: _all_sessions,
    Aggregation.STREAK_DAYS: _all_streaks,
}


def _window_us(feature: Feature) -> int:
    return 1 << 62 if feature.window is None else int(feature.window.total_seconds() * 1_000_000)


def _check_equal(found: pd.DataFrame, expected: np.ndarray, products: Catalogue) -> None:
    for column, feature in enumerate(products.features):
        ours, theirs = expected[:, column], found[feature.name].to_numpy(float)
        if not np.allclose(ours, theirs, rtol=1e-12, atol=0.0, equal_nan=True):
            row = int(np.flatnonzero(~np.isclose(ours, theirs, rtol=1e-12, atol=0.0, equal_nan=True))[0])
            raise SystemExit(f"{feature.name}, row {row}: kernel {ours[row]}, pandas {theirs[row]}")


def _seconds(call: Callable[[], object]) -> tuple[float, object]:
    begin = time.perf_counter()
    answer = call()
    return time.perf_counter() - begin, answer
