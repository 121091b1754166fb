"""A trial as files: the log that anyone would have, and a table of the decisions, with the truth only where it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.core.event import to_us
from features.core.product import Product
from training.clocked import Sent
from training.frame import AS_OF, OUTCOME, USER
from training.log_files import (
    EVENTS_FILE,
    PROFILES_FILE,
    STAGES,
    Progress,
    broken_rows,
    event_rows,
    profile_rows,
    write_events,
    write_profiles,
)
from training.observed import joined_seen
from training.planted import INDEPENDENT, Design, Effects
from training.simulate import Crowd, check_numbers, draw_crowd, midnight_of, require_days, written_to
from training.trial import Trial, days_of, play_trial
from training.trial_features import events_of, portions
from training.trial_world import World

MOST_BEFORE = 2_000
"""Most people who join before a trial: a risk model learns enough from them, and the log of a large trial stays its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFiles:
    """What was written, and the trial itself."""

    events_file: Path
    profiles_file: Path
    trial_file: Path
    trial: Trial
    end: datetime  # nothing was received later; all outcomes are known by then
    n_events: int  # distinct and well-formed
    n_before: int  # people of the log who are not in the trial


def simulate_trial(  # noqa: PLR0913 - each is a choice of the caller's
    product: Product,
    trial_file: Path,
    *,
    n_users: int,
    seed: int,
    end: datetime,
    effects: Effects,
    design: Design = INDEPENDENT,
    truth: bool = False,
    days_before: int = 0,
    progress: Progress | None = None,
) -> TrialFiles:
    """Write a trial's decisions to ``trial_file`` (Parquet), and the log that led to them and followed beside it.

    The same arguments give the same bytes; of ``end``, only the day counts. The log goes on as the trial says: who dropped out is not seen
    within the horizon, who stayed is.

    Parameters
    ----------
    end
        The log ends at midnight UTC before; ``design.start`` follows from it and is not read.
    truth
        With the columns that nobody could have: see `decisions_table`.
    days_before
        For so many days before the first people of the trial join, others do, who are in the log and not in the trial: as many as the
        trial has, 2,000 at most. Of a trial alone, the log is too short for a risk model. They change nothing about the trial; 0: none.

    Raises
    ------
    SimulationError
        If the product does not declare what is simulated, a number is out of its range, or the folder cannot be written to.
    """
    report = progress or (lambda _done, _total: None)
    require_days(days_before, least=0)
    n_days = days_before + days_of(product, design)
    check_numbers(n_users=n_users, n_days=n_days, seed=seed, end=end)
    last = midnight_of(end)
    begun = replace(design, start=last - timedelta(days=days_of(product, design)))
    folder = trial_file.parent
    with written_to(folder):
        trial, world = play_trial(product, n_users=n_users, seed=seed, planted=(effects, begun))
        report(1, STAGES)
        decisions_table(trial, truth=truth).to_parquet(trial_file, index=False)
        rng = np.random.default_rng([seed, n_users, days_before, 5])
        before = _crowd(min(n_users, MOST_BEFORE), days_before, begun, last=last, rng=rng)
        sent, user_ids = _whole_log(world, before, end_us=to_us(last))
        report(2, STAGES)
        write_events(folder / EVENTS_FILE, event_rows(sent, user_ids), broken=broken_rows(last), total=len(sent.order), report=report)
        write_profiles(folder / PROFILES_FILE, _profiles(world) + _profiles_of(before, rng), end=last)
        report(STAGES, STAGES)
    return TrialFiles(
        events_file=folder / EVENTS_FILE,
        profiles_file=folder / PROFILES_FILE,
        trial_file=trial_file,
        trial=trial,
        end=last,
        n_events=len(np.unique(sent.order)),
        n_before=len(user_ids) - len(world.user_ids),
    )


def decisions_table(trial: Trial, *, truth: bool = False) -> pd.DataFrame:
    """One row a decision, ordered by as_of and user, as an analyst would get it from the receipts.

    Columns: ``user_id``, ``as_of`` (UTC), ``action``, ``channel`` and ``delay_s`` (missing where nothing was sent), ``propensity``,
    ``contacts`` before, ``hour_of_week`` (local, 0 is Monday 0:00), ``dropped_out``, ``return_s`` (missing where dropped out).

    Parameters
    ----------
    truth
        Also ``cause``, ``annoyed`` and ``p_dropout_none``, ``p_dropout_<action>_<delay>s``: P(dropout | do), mean over channels.
    """
    sent = trial.action > 0
    rows = trial.frame.rows[[USER, AS_OF]].assign(
        action=np.array(trial.actions)[trial.action],
        channel=pd.Series(np.array(trial.channels)[trial.channel]).where(pd.Series(sent), None),
        delay_s=pd.Series(np.array(trial.delays_s)[trial.delay]).astype("Int64").where(pd.Series(sent)),
        propensity=trial.propensity,
        contacts=trial.contacts,
        hour_of_week=trial.hour_of_week,
        **{OUTCOME: trial.frame.outcomes},
        return_s=np.where(np.isinf(trial.return_s), np.nan, trial.return_s),
    )
    return pd.concat([rows, _truth(trial)], axis=1) if truth else rows


def _truth(trial: Trial) -> pd.DataFrame:
    columns: dict[str, npt.NDArray[np.generic]] = {"cause": np.array(trial.actions)[trial.cause], "annoyed": trial.annoyed}
    columns["p_dropout_none"] = trial.dropout[:, 0, 0]
    for a, action in enumerate(trial.actions[1:], start=1):
        columns |= {f"p_dropout_{action}_{delay_s}s": trial.dropout[:, a, d] for d, delay_s in enumerate(trial.delays_s)}
    return pd.DataFrame(columns)


def _crowd(n_users: int, days: int, design: Design, *, last: datetime, rng: np.random.Generator) -> Crowd | None:
    """Those who join before the trial begins and stay beside it; None where there is no time for it."""
    if days == 0:
        return None
    start = design.start - timedelta(days=days)
    return draw_crowd(n_users, start=start, n_days=(last - start).days + 1, join_days=days, end_us=to_us(last), rng=rng)


def _ids_of(crowd: Crowd) -> tuple[str, ...]:
    return tuple(f"earlier-{number:05d}" for number in range(len(crowd.zones)))


def _profiles_of(crowd: Crowd | None, rng: np.random.Generator) -> list[dict[str, object]]:
    if crowd is None:
        return []
    return profile_rows(_ids_of(crowd), plan=crowd.people.plan, zones=crowd.zones, signup_us=crowd.signup_us, rng=rng)


def _whole_log(world: World, before: Crowd | None, *, end_us: int) -> tuple[Sent, tuple[str, ...]]:
    """Everything that anybody did, in order of arrival, and who they are."""
    parts = [events_of(world, portion, later=later, end_us=end_us) for portion in portions(world) for later in (False, True)]
    some = [part for part in parts if part is not None]
    if before is None:
        return _joined(some), world.user_ids
    beside = replace(before.sent, person=before.sent.person + len(world.zones))
    return _joined([*some, beside]), world.user_ids + _ids_of(before)


def _joined(some: Sequence[Sent]) -> Sent:
    """All events, in order of arrival."""
    first_event = np.cumsum([0, *(len(part.seen.visit) for part in some)])
    first_visit = np.cumsum([0, *(int(part.seen.visit.max(initial=-1)) + 1 for part in some)])
    order = np.concatenate([part.order + first for part, first in zip(some, first_event, strict=False)])
    received_us = np.concatenate([part.received_us for part in some])
    by_arrival = np.lexsort((order, received_us))
    seen = joined_seen([replace(part.seen, visit=part.seen.visit + first) for part, first in zip(some, first_visit, strict=False)])
    return Sent(
        seen=seen,
        person=np.concatenate([part.person for part in some]),
        occurred_us=np.concatenate([part.occurred_us for part in some]),
        received_us=received_us[by_arrival],
        order=order[by_arrival],
    )


def _profiles(world: World) -> list[dict[str, object]]:
    """Profiles of people who all agreed to take part."""
    signup_us = world.begins_us[world.visits.number == 0]
    yes = np.full(len(world.zones), "true")
    told = {"device": world.device, "cohort": world.cohort, "consent": yes, "in_app_opt_in": yes, "email_opt_in": yes}
    rng = np.random.default_rng([world.seed, len(world.zones), 4])
    return profile_rows(world.user_ids, plan=world.people.plan, zones=world.zones, signup_us=signup_us, rng=rng, told=told)
