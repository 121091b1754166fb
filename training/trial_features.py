"""From a trial's visits to the rows that a model may see: events as columns, features by the batch kernel, profile attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.core.columns import EventColumns
from features.core.event import from_us, text_hash
from features.core.kernel import batch_vectors
from features.core.product import Product
from features.core.program import Program, compile_program
from training.clocked import LOCALES, Sent, send
from training.latent import Ints
from training.observed import NO_SUBJECT, NO_VALUE, Visits, draw_events
from training.trial_world import World

_USERS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose features are asked for and when; arrays of shape (n_rows,)."""

    person: Ints
    as_of_us: Ints


def features_at(
    world: World, product: Product, asked: Asked, *, seed: tuple[int, ...], report: Callable[[int, int], None]
) -> npt.NDArray[np.float64]:
    """Features of the catalogue at every row, shape (n_rows, n_features), from events drawn for some users at a time."""
    program = compile_program(product.catalogue)
    n_users = len(world.zones)
    numbers = np.empty((len(asked.person), program.n_features))
    for first in range(0, n_users, _USERS_AT_ONCE):
        rows = np.flatnonzero((asked.person >= first) & (asked.person < first + _USERS_AT_ONCE))
        report(first, n_users)
        if len(rows):
            part = Asked(person=asked.person[rows], as_of_us=asked.as_of_us[rows])
            numbers[rows] = _of_some(world, program, part, rng=np.random.default_rng([*seed, first]))
    report(n_users, n_users)
    return numbers


def _of_some(world: World, program: Program, asked: Asked, *, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Features of the users of one portion; nothing after anybody's last row is drawn."""
    first, last = int(asked.person.min()), int(asked.person.max())
    until = np.full(last - first + 1, np.iinfo(np.int64).min)
    np.maximum.at(until, asked.person - first, asked.as_of_us)
    low, high = np.searchsorted(world.visits.person, [first, last + 1])
    some = np.arange(low, high)
    some = some[world.begins_us[some] <= until[world.visits.person[some] - first]]
    visits = visits_at(world.visits, some)
    sent = send(draw_events(visits, rng), visits, world.begins_us[some], end_us=int(until.max()), rng=rng)
    columns = event_columns(sent, program, first_user=first)
    return batch_vectors(columns, last - first + 1, asked.person - first, asked.as_of_us, program)


def visits_at(visits: Visits, places: Ints | npt.NDArray[np.intp]) -> Visits:
    """Those visits."""
    return replace(visits, **{field.name: getattr(visits, field.name)[places] for field in fields(visits)})


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
    names = np.unique(subjects)
    return _coded(subjects, names, np.array([0 if name == NO_SUBJECT else text_hash(name) for name in names.tolist()], dtype=np.int64))


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
