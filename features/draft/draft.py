"""From a log file to the two files of a product folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.declarations.fields import TimeZone
from features.declarations.log import TimeColumn
from features.draft.columns import DraftError, KindLook, Look, Overrides
from features.draft.horizon import HorizonGuess, guess_horizon
from features.draft.kinds import plan_kinds
from features.draft.look import LogLook, Visits, opened
from features.draft.names import product_name
from features.draft.numbers import notes_on_numbers
from features.draft.plan import plan_features
from features.draft.policy_text import policy_yaml
from features.draft.product_text import ProductDraft, product_yaml
from features.draft.roles import NO_VALUE, Roles, guess_roles
from features.draft.times import reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What was guessed, and the texts that say so."""

    content: ProductDraft
    product_yaml: str
    policy_yaml: str


def draft_product(path: Path, said: Overrides | None = None) -> Draft:
    """Look at a log and draft a product for it.

    Raises
    ------
    DraftError
        If the file cannot be read, or no user or time column can be told; the text names the option that settles it.
    """
    said = said or Overrides()
    timezone = _checked_zone(said.timezone or "UTC")
    with opened(path) as log:
        look = log.look()
        plan = plan_kinds(_kind_looks(log, roles := guess_roles(look, said)), roles)
        label = _label(log.visits(user=roles.user, time=roles.time), roles, timezone)
    content = ProductDraft(
        name=product_name(said.name or path.name),
        file=path.name,
        n_rows=look.n_rows,
        syntax=look.syntax,
        roles=plan.roles,
        kinds=plan.kinds,
        features=tuple(plan_features(plan.kinds, label.horizon, has_clock=roles.time_format.has_clock)),
        label=label,
        timezone=timezone,
        notes=(*plan.notes, *_time_notes(roles), *_number_notes(look, plan.roles, said)),
    )
    policy = policy_yaml(content.name, base_rate=label.base_rate, timezone=timezone)
    return Draft(content=content, product_yaml=product_yaml(content), policy_yaml=policy)


def _kind_looks(log: LogLook, roles: Roles) -> list[KindLook]:
    columns = [column for column in (roles.value and roles.value.column, roles.subject) if column]
    return log.kinds(kind=roles.kind, user=roles.user, columns=columns)


def _label(visits: Visits, roles: Roles, timezone: str) -> HorizonGuess:
    column = TimeColumn(column=roles.time, formats=(roles.time_format.format,), assume_timezone=timezone)
    instants = reads(visits.times, column)
    codes: dict[str, int] = {}
    rows = [(codes.setdefault(user, len(codes)), at) for user, at in zip(visits.users, instants, strict=True) if at is not None]
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return guess_horizon(table[:, 0], table[:, 1], user_share=visits.user_share)


def _time_notes(roles: Roles) -> list[str]:
    guess, notes = roles.time_format, []
    if guess.ambiguous_with is not None:
        notes.append(
            f"Column {roles.time} reads as {guess.format} and as {guess.ambiguous_with}; correct logs.events.occurred_at if need be."
        )
    if guess.read < 1:
        notes.append(f"About {1 - guess.read:.1%} of the times in column {roles.time} are not like the others; their rows will be refused.")
    return notes


def _number_notes(look: Look, roles: Roles, said: Overrides) -> list[str]:
    if said.value == NO_VALUE:
        return []
    return notes_on_numbers(look.columns, value=roles.value.column if roles.value else None, unused=roles.unused)


def _checked_zone(text: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    try:
        return str(TypeAdapter(TimeZone).validate_python(text))
    except ValidationError:
        raise DraftError(f"--timezone {text}: expected an IANA time zone such as UTC or Europe/Berlin") from None
