"""From a trial's visits to the rows that a model may see: events as columns, features by the batch kernel, profile attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.core.columns import EventColumns
from features.core.event import from_us, text_hash
from features.core.kernel import batch_vectors
from features.core.product import Product
from features.core.program import Program, compile_program
from features.core.workspace import Workspace
from training.absence import without_absent
from training.clocked import LOCALES, Sent, send
from training.latent import Ints
from training.observed import FIELD_GROUPS, FORMS, NO_SUBJECT, NO_VALUE, PAGES, STEPS, TOOLS, draw_events, visits_at
from training.trial_world import World

_USERS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose features are asked for and when; arrays of shape (n_rows,)."""

    person: Ints
    as_of_us: Ints


def features_at(world: World, product: Product, asked: Asked, *, report: Callable[[int, int], None]) -> npt.NDArray[np.float64]:
    """Features of the catalogue at every row, shape (n_rows, n_features), from events drawn for some users at a time."""
    program, workspace = compile_program(product.catalogue), Workspace()
    numbers = np.empty((len(asked.person), program.n_features))
    for portion in portions(world):
        rows = np.flatnonzero((asked.person >= portion.start) & (asked.person < portion.stop))
        report(portion.start, len(world.zones))
        if len(rows):
            sent = events_of(world, portion, later=False, end_us=int(asked.as_of_us[rows].max()))
            assert sent is not None, "everyone has signed up before a decision"
            columns = event_columns(sent, program, first_user=portion.start)
            person = asked.person[rows] - portion.start
            numbers[rows] = batch_vectors(columns, len(portion), person, asked.as_of_us[rows], program, workspace=workspace)
    report(len(world.zones), len(world.zones))
    return numbers


def portions(world: World) -> list[range]:
    """Everyone, some at a time, so that memory does not grow with their number."""
    n_users = len(world.zones)
    return [range(first, min(first + _USERS_AT_ONCE, n_users)) for first in range(0, n_users, _USERS_AT_ONCE)]


def events_of(world: World, portion: range, *, later: bool, end_us: int) -> Sent | None:
    """Events of some people, received by ``end_us``: of visits up to each one's last decision, or of later ones; None where nobody comes.

    The two are drawn apart, so that features cost no events that they do not see, and a log that goes on has the same past.
    """
    low, high = np.searchsorted(world.visits.person, [portion.start, portion.stop])
    some = np.arange(low, high)
    some = some[(world.begins_us[some] > world.decided_us[world.visits.person[some]]) == later]
    if len(some) == 0:
        return None
    rng = np.random.default_rng([world.seed, len(world.zones), 2 + later, portion.start])
    visits = visits_at(world.visits, some)
    return without_absent(send(draw_events(visits, rng), visits, world.begins_us[some], end_us=end_us, rng=rng), world.absences)


def event_columns(sent: Sent, program: Program, *, first_user: int) -> EventColumns:
    """Events as the kernel reads them; user codes count from ``first_user``."""
    seen, order = sent.seen, sent.order
    kinds = np.array([kind.name for kind in program.catalogue.kinds])
    occurred_us = sent.occurred_us[order]
    value = seen.value[order]
    return EventColumns(
        user=sent.person[order] - first_user,
        kind=_coded(seen.kind, kinds, np.arange(len(kinds))).astype(np.int16)[order],
        occurred_us=occurred_us,
        known_us=sent.received_us,
        skew_us=np.maximum(occurred_us - sent.received_us, 0),
        event_hash=order + 1,
        subject=_hashes(seen.subject)[order],
        value=np.where(value == NO_VALUE, 0, value),
        session=seen.visit[order] + 1,
    )


def _coded(texts: npt.NDArray[np.str_], names: npt.NDArray[np.str_], codes: Ints) -> Ints:
    """Code of each text, which must be among the names."""
    order = names.argsort()
    return np.asarray(codes[order][np.searchsorted(names[order], texts)], dtype=np.int64)


def _hashes(subjects: npt.NDArray[np.str_]) -> Ints:
    """The kernel's hash of each text; 0 where there is none."""
    names = sorted({NO_SUBJECT, *PAGES, *FORMS, *FIELD_GROUPS, *STEPS, *TOOLS})
    return _coded(subjects, np.array(names), np.array([0 if name == NO_SUBJECT else text_hash(name) for name in names], dtype=np.int64))


def profile_columns(world: World, person: Ints) -> pd.DataFrame:
    """Attributes of the people of each row, under the names of the onboarding product."""
    signup_at = [from_us(us).isoformat() for us in world.begins_us[world.visits.number == 0].tolist()]
    return pd.DataFrame(
        {
            "plan": world.people.plan[person],
            "device": world.device[person],
            "cohort": world.cohort[person],
            "locale": [LOCALES[zone] for zone in world.zones[person].tolist()],
            "signup_at": [signup_at[code] for code in person.tolist()],
        }
    )
