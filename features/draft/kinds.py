"""Which kinds to declare, and whether the value and subject columns fit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from features.draft.columns import DraftError, KindLook
from features.draft.names import as_name, kind_names
from features.draft.plan import PlannedKind
from features.draft.roles import Roles

MOST_KINDS = 40
"""Kinds with a declaration of their own; rarer ones become one kind together."""

OTHER = "other_event"
_ALWAYS, _NEVER = 0.95, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class KindPlan:
    """Kinds, the roles that remain, and what had to be given up."""

    kinds: tuple[PlannedKind, ...]
    roles: Roles
    notes: tuple[str, ...]


def plan_kinds(looks: Sequence[KindLook], roles: Roles) -> KindPlan:
    """Declare the kinds; a value or subject column that some kind has only now and then is given up, since such a kind cannot declare it.

    Raises
    ------
    DraftError
        If there are no rows.
    """
    if not looks:
        raise DraftError("got a log without events, expected some rows with a user, a time and a kind")
    notes: list[str] = []
    roles = _usable(looks, roles, notes)
    frequent = sorted(looks, key=lambda look: -look.n_rows)
    names = kind_names([look.value for look in frequent[:MOST_KINDS]])
    kinds = [_planned(look, names[look.value], roles) for look in frequent[:MOST_KINDS]]
    rare = frequent[MOST_KINDS:]
    if rare:
        kinds.append(_together(rare, roles))
        notes.append(f"{len(rare)} kinds with few rows are one kind, {OTHER}; give those that matter a name of their own.")
    if roles.kind is None and roles.constant_kind is not None:
        kinds = [replace(kinds[0], name=as_name(roles.constant_kind, prefix="kind"), values=())]
    return KindPlan(kinds=tuple(kinds), roles=roles, notes=tuple(notes))


def _usable(looks: Sequence[KindLook], roles: Roles, notes: list[str]) -> Roles:
    """The roles without a value or subject column that does not fit every kind."""
    kept: dict[str, object] = {}
    for role, column in (("value", roles.value and roles.value.column), ("subject", roles.subject)):
        if not column:
            continue
        shares = {look.value: _share(look, column) for look in looks}
        mixed = [value for value, share in shares.items() if _NEVER < share < _ALWAYS]
        if mixed:
            kept[role] = None
            notes.append(
                f"Column {column} looks like a {role}, but is filled in only some rows of {', '.join(map(repr, mixed[:5]))}; a kind has it "
                "always or never, so it is left out. Split such a kind in two to use it."
            )
        elif gaps := [value for value, share in shares.items() if share not in {0.0, 1.0}]:
            notes.append(f"A few rows of {', '.join(map(repr, gaps[:5]))} break with the others on column {column}; they will be refused.")
    return replace(roles, **kept)  # type: ignore[arg-type]


def _planned(look: KindLook, name: str, roles: Roles) -> PlannedKind:
    has_subject = roles.subject is not None and _share(look, roles.subject) >= _ALWAYS
    has_value = roles.value is not None and _share(look, roles.value.column) >= _ALWAYS
    return PlannedKind(
        name=name,
        values=(look.value,),
        n_rows=look.n_rows,
        busiest=look.busiest,
        subject=as_name(roles.subject or "", prefix="subject") if has_subject else None,
        value_unit=roles.value.unit if roles.value is not None and has_value else None,
    )


def _together(rare: Sequence[KindLook], roles: Roles) -> PlannedKind:
    """One kind for all the rare ones; those unlike the first of them will be refused."""
    first = _planned(rare[0], OTHER, roles)
    return replace(first, values=tuple(look.value for look in rare), n_rows=sum(look.n_rows for look in rare))


def _share(look: KindLook, column: str) -> float:
    return look.n_filled.get(column, 0) / look.n_rows if look.n_rows else 0.0
