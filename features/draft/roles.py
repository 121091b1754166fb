"""Which column means what: guessed from names first, from content second; with the reason of each guess."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from features.draft.columns import Column, DraftError, Look, Overrides
from features.draft.names import snake
from features.draft.numbers import SAID_SO, ValueGuess, guess_value, is_money, why_no_value
from features.draft.times import TimeGuess, guess_time
from features.draft.words import EVENT_IDS, KINDS, RECEIVED, SESSIONS, SUBJECTS, TIMES, USERS, VALUES

NO_VALUE = "none"
"""``--value none``: no column is to be the value."""

_MOST_KINDS = 200
_ROWS_PER_USER = 1.05  # with fewer there is nothing to predict from
_UNIQUE = 0.9  # approximate counts may be a few percent off
_BY_NAME, _SAID = "by its name", "you said so"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """What each column is taken for, and why."""

    user: str
    time: str
    time_format: TimeGuess
    kind: str | None = None  # column
    constant_kind: str | None = None  # where there is no kind column
    received: str | None = None
    received_format: TimeGuess | None = None
    event_id: str | None = None
    session: str | None = None
    subject: str | None = None
    value: ValueGuess | None = None
    reasons: dict[str, str]  # role, as product.yaml calls it -> why
    unused: tuple[str, ...] = ()  # columns without a role


def guess_roles(look: Look, said: Overrides) -> Roles:
    """Give every role a column; the person's word counts more than any guess.

    Raises
    ------
    DraftError
        If the user or the time cannot be told, or the person named a column that is not there or does not hold such values.
    """
    casting = _Casting(look=look, free=list(look.columns))
    reserved = {said.user, said.time, said.kind, said.value} - {None}  # nobody's guess
    time, time_format = _time(casting, said, reserved)
    user = _user(casting, said, reserved)
    kind, constant = _kind(casting, said)
    value = _value(casting, said)
    received = casting.by_name("received_at", RECEIVED, _holds_instants, reserved)
    event_id = casting.by_name("event_id", EVENT_IDS, _is_unique, reserved)
    session = casting.by_name("session_id", SESSIONS, lambda column: 1 < column.n_distinct < column.n_filled, reserved)
    subject = casting.by_name("subject", SUBJECTS, lambda column: column.n_distinct > 1, reserved)
    return Roles(
        user=user.name,
        time=time.name,
        time_format=time_format,
        kind=kind,
        constant_kind=constant or (None if kind else ("purchase" if value and is_money(value.column) else "event")),
        received=_name(received),
        received_format=None if received is None else guess_time(received.texts),
        event_id=_name(event_id),
        session=_name(session),
        subject=_name(subject),
        value=value,
        reasons=casting.reasons,
        unused=tuple(column.name for column in casting.free),
    )


@dataclass(slots=True, kw_only=True)
class _Casting:
    """Columns without a role yet, and why the others have theirs."""

    look: Look
    free: list[Column]
    reasons: dict[str, str] = field(default_factory=dict)

    def take(self, role: str, column: Column, why: str) -> Column:
        """Give a free column its role."""
        self.free.remove(column)
        self.reasons[role] = why
        return column

    def by_name(
        self, role: str, names: tuple[str, ...], fits: Callable[[Column], bool], reserved: Iterable[str | None] = ()
    ) -> Column | None:
        """Give the role to the fitting free column whose name comes first in ``names``."""
        held = set(reserved)
        named = {snake(column.name): column for column in reversed(self.free) if column.name not in held and column.n_filled}
        chosen = next((named[name] for name in names if name in named and fits(named[name])), None)
        return None if chosen is None else self.take(role, chosen, _BY_NAME)

    def said(self, option: str, name: str) -> Column:
        """The free column that the person named."""
        column = self.look.column(name)
        if column is None:
            raise DraftError(f"{option} {name}: {self.look.path} has no such column, expected one of {_listed(self.look)}")
        if column not in self.free:
            raise DraftError(f"{option} {name}: that column has another role already, expected another one of {_listed(self.look)}")
        return column


def _time(casting: _Casting, said: Overrides, reserved: set[str | None]) -> tuple[Column, TimeGuess]:
    if said.time is not None:
        column = casting.said("--time", said.time)
        guess = guess_time(column.texts)
        if guess is None:
            raise DraftError(
                f"--time {said.time}: got values such as {_shown(column)}, expected instants (ISO 8601, seconds since 1970, ...)"
            )
        return casting.take("occurred_at", column, _SAID), guess
    chosen = casting.by_name("occurred_at", TIMES, _holds_instants, reserved)
    if chosen is None:
        only = [
            column for column in casting.free if not column.is_number and snake(column.name) not in RECEIVED and _holds_instants(column)
        ]
        if len(only) != 1:
            listed = _listed(casting.look)
            raise DraftError(
                f"{casting.look.path}: cannot tell which column says when an event happened, got {listed}; name it with --time COLUMN"
            )
        chosen = casting.take("occurred_at", only[0], "the only column that holds instants")
    guess = guess_time(chosen.texts)
    assert guess is not None
    return chosen, guess


def _user(casting: _Casting, said: Overrides, reserved: set[str | None]) -> Column:
    if said.user is not None:
        column = casting.said("--user", said.user)
        if column.is_nested:
            raise DraftError(
                f"--user {said.user}: got values such as {_shown(column)}, expected plain ids; give the id within them a column of its own"
            )
        return casting.take("user_id", column, _SAID)
    chosen = casting.by_name("user_id", USERS, _repeats, reserved)
    if chosen is not None:
        return chosen
    taken = {*EVENT_IDS, *SESSIONS, *SUBJECTS}
    ids = [
        c for c in casting.free if snake(c.name).endswith("_id") and snake(c.name) not in taken and c.name not in reserved and _repeats(c)
    ]
    if len(ids) != 1:
        listed = _listed(casting.look)
        nested = [column.name for column in casting.free if column.is_nested]
        also = f" (those within {', '.join(nested)} need a column of their own first)" if nested else ""
        raise DraftError(f"{casting.look.path}: cannot tell which column names the user, got {listed}; name it with --user COLUMN{also}")
    return casting.take("user_id", ids[0], "the only other column of ids that repeat")


def _kind(casting: _Casting, said: Overrides) -> tuple[str | None, str | None]:
    """Column of the kind, or the one kind that the person named."""
    if said.kind is None:
        chosen = casting.by_name("kind", KINDS, _names_few_things, {said.value})
        return _name(chosen), None
    if casting.look.column(said.kind) is None:
        return None, said.kind
    column = casting.said("--kind", said.kind)
    if column.n_distinct > _MOST_KINDS:
        raise DraftError(
            f"--kind {said.kind}: got about {column.n_distinct} different values, expected at most {_MOST_KINDS} kinds of event"
        )
    return casting.take("kind", column, _SAID).name, None


def _value(casting: _Casting, said: Overrides) -> ValueGuess | None:
    if said.value == NO_VALUE and casting.look.column(NO_VALUE) is None:
        return None
    if said.value is not None:
        column = casting.said("--value", said.value)
        guess = guess_value(column, at_least=SAID_SO)
        if guess is None:
            raise DraftError(f"--value {said.value}: {why_no_value(column)}")
        casting.take("value", column, _SAID)
        return guess
    numbers = [column for column in casting.free if guess_value(column) is not None and not snake(column.name).endswith("id")]
    money = next((column for column in numbers if is_money(column.name)), None)
    chosen = casting.by_name("value", VALUES, numbers.__contains__) if money is None else casting.take("value", money, _BY_NAME)
    return None if chosen is None else guess_value(chosen)


def _holds_instants(column: Column) -> bool:
    return guess_time(column.texts) is not None


def _repeats(column: Column) -> bool:
    return not column.is_nested and column.n_distinct > 1 and column.n_filled / column.n_distinct >= _ROWS_PER_USER


def _is_unique(column: Column) -> bool:
    return column.filled > _UNIQUE and column.n_distinct >= _UNIQUE * column.n_filled


def _names_few_things(column: Column) -> bool:
    is_measure = column.is_number and column.decimals > 0
    return column.filled > _UNIQUE and column.n_distinct <= _MOST_KINDS and column.n_distinct < column.n_filled and not is_measure


def _name(column: Column | None) -> str | None:
    return None if column is None else column.name


def _listed(look: Look) -> str:
    return "the columns " + ", ".join(column.name for column in look.columns)


def _shown(column: Column) -> str:
    return ", ".join(repr(text[:40]) for text in column.texts[:3]) or "none"
