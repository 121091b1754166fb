"""When to act: our policy between "now" and the oracle, beside fixed delays and habits; and what it rests on, beside what it must beat.

    make bench-timing        (STILLHERE_DATA or ../shared/data holds the folder kddcup2015_mooc_daily; without it, that part is left out)

Trials are simulated with a known truth in which people's habit and the hours in which a message works disagree. Learned on one draw,
scored on a fresh draw of other people, by the truth, which nothing but the score reads. A share is
(value - value of now) / (value of the oracle's delays - value of now). What is sent is given: the remedy of the person's cause.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.bench_mooc import DATA
from benchmarks.mooc_tasks import import_everything
from benchmarks.report import row, write
from benchmarks.timing_intervals import Known, alike, coverage, known
from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import read_columns
from features.backfill.snapshots import snapshots_of
from features.backfill.spine import log_spine
from features.core.product import Product
from features.core.weekly import hour_of_week
from features.declarations.product_file import load_product
from features.home import Home
from features.ingest.import_log import ImportTarget, declared_files, import_file
from models.timing.benefit import choose_many
from models.timing.hazard import Asked
from models.timing.response import ResponseModel
from tests.second_generator import second_trial
from training.dataset import features_join, frame_of
from training.frame import learn_signature
from training.planted import Design, Effects, Timing
from training.simulate import simulate
from training.split import split_by_time
from training.timing.fitted import FittedTiming, fit_timing
from training.timing.habits import counts_of, fit_moving_average
from training.timing.response_fit import fit_response
from training.timing.trial_rows import TrialVisits, trial_receptivity, trial_rows, visits_of
from training.timing.watch import watch
from training.trial import Trial, best_delay, draw_trial

ROOT = Path(__file__).resolve().parent.parent
FITS = Design(matched_share=1.0)
AGAINST = Effects.plain(timing=Timing.AGAINST_HABIT)
N_TRIAL, N_NULL, N_FRESH = 120_000, 40_000, 8_000
SEEDS = (101, 202, 303, 404, 505)
OTHER_SEEDS = SEEDS[:3]  # of the second generator, and of worlds without an effect
LOG_SEEDS = SEEDS[:2]  # of simulated logs, and of the second generator without an effect
ALONE = ", fit alone"
HISTOGRAM_S = 3_650 * 86_400.0
MOOC_ROWS = 60_000

Draw = Callable[[int, int], Trial]
"""(n_users, seed) to a trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Shares of the oracle's gain by policy, and how often ours waits for no better slot."""

    shares: dict[str, float]
    abstained: float
    covered: dict[str, float]  # shares of slots whose truth lies within the 90 % interval, by what is asked; empty where not asked
    response: ResponseModel


def main() -> int:
    """Draw, learn, score; 0 if every bound holds."""
    product = load_product(ROOT / "products" / "onboarding")
    rows = trial_figures(product) + null_figures(product) + hazard_figures(product) + mooc_figures()
    notes = [
        f"trials of {N_TRIAL:,} users, a quarter of them sent nothing; fresh draws of {N_FRESH:,}; medians of seeds {SEEDS}",
        f"of the second generator medians of {OTHER_SEEDS}; means without effect of {OTHER_SEEDS} and {LOG_SEEDS}; logs of {LOG_SEEDS}",
        "an interval is one of the mean over people alike: what one person differs by beyond that leaves no trace in a trial",
        "what is sent fits the cause, and messages do not tire; the rows 'any message' are without either, at a third of the trial",
        "the second generator is that of tests/second_generator.py: other product, latent states, effects and logging",
    ]
    return 0 if write("timing", rows, notes=notes) else 1


def trial_figures(product: Product) -> list[dict[str, Any]]:
    """Where habit and effect disagree."""

    def against(n_users: int, seed: int) -> Trial:
        return draw_trial(product, n_users=n_users, seed=seed, effects=AGAINST, design=FITS)

    def anything(n_users: int, seed: int) -> Trial:
        return draw_trial(product, n_users=n_users, seed=seed, effects=Effects(timing=Timing.AGAINST_HABIT))

    def second(n_users: int, seed: int) -> Trial:
        return second_trial(n_users=n_users, seed=seed, timing=Timing.AGAINST_HABIT)

    runs = _scored("where habit and effect disagree", against, SEEDS)
    shares = {name: float(np.median([run.shares[name] for run in runs])) for name in runs[0].shares}
    others = ", ".join(f"{name} {share:.2f}" for name, share in shares.items() if name != "ours")
    rows = [row("oracle share", shares["ours"], reference=others, at_least=0.85)]
    rows += [row(f"oracle share of {name}", share) for name, share in shares.items() if name != "ours"]
    rows += [row(f"oracle share seed {seed}", run.shares["ours"]) for seed, run in zip(SEEDS, runs, strict=True)]
    rows += [*_covered(runs), row("trial rows", runs[0].response.n_rows, "rows")]
    hard, others_world = score(anything, N_TRIAL // 3, SEEDS[0]), _scored("second generator", second, OTHER_SEEDS)
    other = others_world[0]
    rows += [
        row("oracle share, any message", hard.shares["ours"], reference=f"random {hard.shares['random']:.2f}"),
        row("abstain share, any message", hard.abstained),
        row("oracle share, second generator", float(np.median([o.shares["ours"] for o in others_world])), reference=_best_baseline(other)),
        *_covered(others_world, ", second generator"),
    ]
    return rows


def _scored(what: str, draw: Draw, seeds: Sequence[int]) -> list[Scored]:
    """One trial a seed, and how far it has come."""
    runs, since = [], time.perf_counter()
    for number, seed in enumerate(seeds, start=1):
        runs.append(score(draw, N_TRIAL, seed, spans=True))
        share, took_s = runs[-1].shares["ours"], time.perf_counter() - since
        sys.stdout.write(f"{what}, {number} of {len(seeds)}: oracle share {share:.3f} (seed {seed}), after {took_s:.0f} s\n")
        sys.stdout.flush()
    return runs


def _covered(runs: Sequence[Scored], where: str = "") -> list[dict[str, Any]]:
    """Medians over seeds; beside each what the fit's error alone would cover."""
    shares = {name: [run.covered[name] for run in runs] for name in runs[0].covered}
    rows = []
    for name in (name for name in shares if not name.endswith(ALONE)):
        seeds, alone = ", ".join(f"{one:.2f}" for one in shares[name]), np.median(shares[f"{name}{ALONE}"])
        reference = f"0.90 if exact; fit alone {alone:.2f}; seeds {seeds}"
        rows.append(row(f"{name}{where}", float(np.median(shares[name])), reference=reference))
    return rows


def null_figures(product: Product) -> list[dict[str, Any]]:
    """Where messages work and their delay changes nothing."""

    def null(n_users: int, seed: int) -> Trial:
        return draw_trial(product, n_users=n_users, seed=seed, effects=Effects.plain(), design=FITS)

    def second(n_users: int, seed: int) -> Trial:
        return second_trial(n_users=n_users, seed=seed)

    ours = [score(null, N_NULL, seed).abstained for seed in OTHER_SEEDS]
    other = [score(second, N_NULL, seed).abstained for seed in LOG_SEEDS]
    return [
        row("abstain share without effect", float(np.mean(ours)), reference=f"seeds: {ours}", at_least=0.9),
        row("abstain share without effect, second generator", float(np.mean(other)), reference=f"seeds: {other}"),
    ]


def score(draw: Draw, n_users: int, seed: int, *, spans: bool = False) -> Scored:
    """Learn on one draw, choose on a fresh one, and score by the truth; with ``spans`` also the intervals."""
    trial = draw(n_users, seed)
    signature, visits = learn_signature(trial.frame), visits_of(trial)
    receptivity = trial_receptivity(visits, seed=seed)
    rows = trial_rows(trial, signature, receptivity, visits)
    response = fit_response(
        rows,
        actions=trial.actions,
        delays_s=tuple(float(delay_s) for delay_s in trial.delays_s),
        attributes=signature.categorical_inputs,
        seed=seed,
    )
    fresh = draw(N_FRESH, seed + 1)
    fresh_visits = visits_of(fresh)
    acted = np.flatnonzero(fresh.action > 0)
    asked = trial_rows(fresh, signature, receptivity, fresh_visits).asked.at(acted)
    base = np.zeros(len(acted), dtype=np.int64)
    effects = response.effects(asked, fresh.action[acted], np.array(response.delays_s))
    gain, gain_se = effects.gain_over(base)
    chosen = choose_many(gain, gain_se, base, is_shown=response.is_shown)
    dropout = fresh.dropout[acted, fresh.action[acted]]
    policies = {"ours": chosen} | _habit_policies(visits, fresh_visits, acted, delays_s=response.delays_s)
    policies |= {f"fixed {_text(delay_s)}": base + i for i, delay_s in enumerate(response.delays_s) if i > 0}
    policies["random"] = np.random.default_rng(seed).integers(0, len(response.delays_s), len(acted))
    best = best_delay(fresh, fresh.action)[acted]
    own, sent = _known(fresh, asked, response), np.flatnonzero(trial.action > 0)
    sys.stdout.write(f"seed {seed}: slope {response.slope:.2f} (se {response.slope_se:.2f}), {response.sight}\n")
    return Scored(
        shares={name: _share(dropout, policy, best) for name, policy in policies.items()},
        abstained=float((chosen == base).mean()),
        covered=coverage(effects, own, alike(_known(trial, rows.asked.at(sent), response), own)) if spans else {},
        response=response,
    )


def _known(trial: Trial, asked: Asked, response: ResponseModel) -> Known:
    """The truth of those for whom something is sent; ``asked`` holds their rows."""
    sent = trial.action > 0
    return known(asked, trial.action[sent], response.prognosis(asked.encoded), trial.dropout[sent])


def _share(dropout: npt.NDArray[np.float64], chosen: npt.NDArray[np.int64], best: npt.NDArray[np.int64]) -> float:
    each = np.arange(len(dropout))
    possible = float((dropout[:, 0] - dropout[each, best]).mean())
    return float((dropout[:, 0] - dropout[each, chosen]).mean()) / possible if possible > 0 else float("nan")


def _habit_policies(
    learned: TrialVisits, fresh: TrialVisits, acted: npt.NDArray[np.int64], *, delays_s: tuple[float, ...]
) -> dict[str, npt.NDArray[np.int64]]:
    """The slot in which the person is usually active, by S2.26 and by the plain histogram of hours."""
    some = learned.rows.at(np.arange(min(4_000, len(learned.rows.user))))
    kept = fresh.rows.at(acted)
    at_us = kept.as_of_us[:, None] + (np.array(delays_s) * 1e6).astype(np.int64)
    slots = hour_of_week(at_us, kept.utc_offset_s[:, None])
    ewma = fit_moving_average(learned.log, learned.hours, some)
    histogram = fit_moving_average(learned.log, learned.hours, some, half_lives_s=(HISTOGRAM_S,))
    return {
        name: np.take_along_axis(model.probabilities(counts_of(fresh.hours, kept, model.half_life_s)), slots, axis=1).argmax(axis=1)
        for name, model in (("EWMA", ewma), ("hour histogram", histogram))
    }


def _best_baseline(scored: Scored) -> str:
    name, share = max(((n, s) for n, s in scored.shares.items() if n != "ours"), key=lambda pair: pair[1])
    return f"best other: {name} {share:.2f}"


def _text(delay_s: float) -> str:
    return f"{delay_s / 3600:g} h" if delay_s >= 3600 else f"{delay_s / 60:g} min"


def hazard_figures(product: Product) -> list[dict[str, Any]]:
    """Return hazard and habits on simulated logs of 2,000 users."""
    fits = [_simulated(product, seed) for seed in LOG_SEEDS]
    figures = {name: float(np.median([fit.figures[name] for fit in fits])) for name in fits[0].figures}
    return [
        row(
            "integrated Brier, simulated",
            figures["ibs"],
            reference=f"Kaplan-Meier by segment {figures['ibs_kaplan_meier']:.4f}",
            at_most=figures["ibs_kaplan_meier"],
        ),
        row(
            "receptivity log-likelihood",
            figures["receptivity_log_likelihood"],
            reference=f"EWMA {figures['ewma_log_likelihood']:.4f}, histogram {figures['histogram_log_likelihood']:.4f}, "
            f"everybody's week {figures['population_log_likelihood']:.4f}",
            at_least=figures["ewma_log_likelihood"],
        ),
    ]


def _simulated(product: Product, seed: int) -> FittedTiming:
    with tempfile.TemporaryDirectory() as folder:
        home, logs = Home(Path(folder) / "home"), Path(folder) / "logs"
        simulate(product, logs, n_users=2_000, seed=seed, end=datetime(2025, 6, 2, tzinfo=UTC), days=63)
        profiles = MemoryProfileStore()
        home.raw_dir(product.name).mkdir(parents=True)
        target = ImportTarget(
            raw_log=ParquetRawLog(home.raw_dir(product.name)),
            timelines=MemoryTimelineStore(kinds=product.catalogue.kinds, clock_us=lambda: 0),
            profiles=profiles,
            labels_dir=home.labels_file(product.name, "any").parent,
            rejected_dir=home.rejected_dir(product.name),
        )
        for path, declaration in declared_files(logs, product):
            import_file(path, declaration, product, target)
        raw = read_columns(home.raw_dir(product.name), product)
        spine = log_spine(raw, product)
        frame = frame_of(product, features_join(product, home, spine, snapshots_of(raw, product, spine)), horizon=product.label.horizon)
        users = raw.user_ids.tolist()
        known = zip(users, profiles.read(users), strict=True)
        zones = {user: str(profile["timezone"]) for user, profile in known if profile and profile.get("timezone")}
        return fit_timing(split_by_time(frame), watch(raw, product, zones=zones))


def mooc_figures() -> list[dict[str, Any]]:
    """Return hazard on real data, days as the unit of time."""
    if not DATA.is_dir():
        sys.stdout.write(f"bench-timing: no data in {DATA}; its rows are left out\n")
        return []
    product = load_product(ROOT / "products" / "mooc")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        import_everything(product, home, MemoryProfileStore(), DATA)
        raw = read_columns(home.raw_dir(product.name), product)
        spine = log_spine(raw, product)
        some = np.sort(np.random.default_rng(1).permutation(spine.num_rows)[:MOOC_ROWS])
        spine = spine.take(some) if spine.num_rows > MOOC_ROWS else spine
        frame = frame_of(product, features_join(product, home, spine, snapshots_of(raw, product, spine)), horizon=product.label.horizon)
        figures = fit_timing(split_by_time(frame), watch(raw, product)).figures
    reference = f"Kaplan-Meier by segment {figures['ibs_kaplan_meier']:.4f}"
    rows = int(figures["rows"])
    return [row("integrated Brier, MOOC", figures["ibs"], f"{rows} rows", reference=reference, at_most=figures["ibs_kaplan_meier"])]


if __name__ == "__main__":
    sys.exit(main())
