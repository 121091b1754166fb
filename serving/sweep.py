"""A sweep: asks the service about everybody who is silent, because nobody else does. When sweeps are due, in which lists, how fast.

Asks through the HTTP interface, as any backend: its decisions count like all others.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from serving.client import Decision, StillhereError

USERS_PER_LIST = 8
"""On average: a caller that comes meanwhile waits for one list, and of a list that changed the others may be asked about twice."""
MOST_IN_A_LIST = 64
"""What the service decides in one step."""
GIVES_UP_AFTER = 3
"""Lists in a row that got no answer, or none that was remembered, each after every try."""

FORGOTTEN_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0)
"""Before a list is asked about again whose answers were not remembered: two minutes in all, in which a Redis is started again."""
_BRIEF_WAIT_S = 2.0

_FORGOTTEN = StillhereError(
    "ledger_unavailable", "the service could not reach its Redis and remembers nothing", what_to_do="see /readyz and run the sweep again"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Asked(Protocol):
    """Who decides: `serving.client.Client`."""

    def decide_many(self, user_ids: Sequence[str], *, idempotency_key: str) -> Sequence[Decision | StillhereError]:
        """Decide about several, once for each key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast to ask."""

    per_second: float  # users
    clock_s: Callable[[], float] = time.monotonic
    wait: Callable[[float], Any] = time.sleep  # for that many seconds


@dataclass(slots=True, kw_only=True)
class SweepReport:
    """What became of one sweep so far; it takes in answers as they come.

    Examples
    --------
    >>> report = SweepReport(due=datetime(2026, 3, 2, 10, tzinfo=UTC), n_silent=3)
    >>> report.count_error(StillhereError("overloaded", "too many wait", what_to_do="wait"), 2)
    >>> report.n_decided, dict(report.errors), report.n_left
    (0, {'overloaded': 2}, 1)
    """

    due: datetime
    n_silent: int
    decided: Counter[tuple[str, str]] = field(default_factory=Counter)  # by action and reason code
    errors: Counter[str] = field(default_factory=Counter)  # users without a decision, by code
    faults: list[str] = field(default_factory=list)  # an example for each code
    n_untracked: int | None = None  # besides, left out as nobody can say whether they are silent; None: everybody is tracked

    @property
    def n_decided(self) -> int:
        """Users about whom there is a decision."""
        return self.decided.total()

    @property
    def n_left(self) -> int:
        """Users about whom it was not asked any more, because the service had given no answer for long."""
        return self.n_silent - self.n_decided - self.errors.total()

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        decided = [{"action": action, "reason": reason, "users": n} for (action, reason), n in self.decided.most_common()]
        counts = {"silent": self.n_silent, "decided": self.n_decided, "failed": self.errors.total(), "left": self.n_left}
        if self.n_untracked is not None:
            counts["untracked"] = self.n_untracked
        return {"due": self.due.isoformat(), **counts, "decisions": decided, "errors": dict(self.errors)}

    def count(self, answers: Iterable[Decision | StillhereError]) -> None:
        """Take in the answers to one list."""
        for answer in answers:
            if isinstance(answer, StillhereError):
                self.count_error(answer, 1)
            elif _FORGOTTEN.code in answer.degraded:
                self.count_error(_FORGOTTEN, 1)
            else:
                self.decided[answer.action, answer.reason] += 1

    def count_error(self, error: StillhereError, users: int) -> None:
        """Take in that so many users have no decision, and why."""
        if error.code not in self.errors:
            self.faults.append(str(error))
        self.errors[error.code] += users


def sweep(
    user_ids: Sequence[str], *, due: datetime, service: Asked, pace: Pace, progress: Callable[[int, int], None] = lambda *_: None
) -> SweepReport:
    """Ask about everybody, list by list, no faster than the pace; the same sweep again decides about nobody twice.

    Each list has an idempotency key that follows from what is asked, so that a sweep which was killed gets, when it is made again for
    the same ``due``, the decisions that were made then, and new ones from there on.

    Parameters
    ----------
    user_ids
        Each person once.
    due
        Aware; the instant that this sweep is for. Decisions are made as of now all the same.
    progress
        Called with the users done and all users.

    Examples
    --------
    >>> class Full:
    ...     def decide_many(self, user_ids, *, idempotency_key):
    ...         raise StillhereError("overloaded", "too many wait")
    >>> report = sweep(["ada", "ben"], due=datetime(2026, 3, 2, 10, tzinfo=UTC), service=Full(), pace=Pace(per_second=1_000))
    >>> report.n_decided, dict(report.errors)
    (0, {'overloaded': 2})
    """
    report = SweepReport(due=due, n_silent=len(user_ids))
    next_s, unanswered, done = pace.clock_s(), 0, 0
    for users in lists_of(user_ids):
        _await(next_s, pace)
        next_s = max(next_s, pace.clock_s()) + len(users) / pace.per_second
        try:
            answers = _remembered(users, due, service, pace)
            report.count(answers)
            unanswered = unanswered + 1 if all(map(_is_forgotten, answers)) else 0
        except StillhereError as exc:
            report.count_error(exc, len(users))
            unanswered += 1
        if unanswered == GIVES_UP_AFTER:
            break
        done += len(users)
        progress(done, len(user_ids))
    return report


def _remembered(users: Sequence[str], due: datetime, service: Asked, pace: Pace) -> Sequence[Decision | StillhereError]:
    """Answers to one list, asked for again under its key while the service's Redis is away: what was remembered stays what it was.

    Where some are remembered Redis is there, and what is wrong with the others does not pass: they are waited for briefly.
    """
    key = key_of(due, users)
    for wait_s in FORGOTTEN_WAITS_S:
        answers = service.decide_many(users, idempotency_key=key)
        forgotten = [_is_forgotten(answer) for answer in answers]
        if not any(forgotten) or (wait_s > _BRIEF_WAIT_S and not all(forgotten)):
            return answers
        pace.wait(wait_s)
    return service.decide_many(users, idempotency_key=key)


def _is_forgotten(answer: Decision | StillhereError) -> bool:
    return not isinstance(answer, StillhereError) and _FORGOTTEN.code in answer.degraded


def _await(instant_s: float, pace: Pace) -> None:
    left_s = instant_s - pace.clock_s()
    if left_s > 0:
        pace.wait(left_s)


def lists_of(user_ids: Iterable[str]) -> Iterator[list[str]]:
    """Part users into lists, of `USERS_PER_LIST` on average, in their order.

    A list ends behind a user whose id says so. Thus a user more or less, erased or attached meanwhile, makes another list of the one that
    they are in, and every other list stays, with its key.

    Examples
    --------
    >>> before, after = list(lists_of(map(str, range(1_000)))), list(lists_of(map(str, range(1, 1_000))))
    >>> len(before), len([users for users in after if users not in before])
    (126, 1)
    """
    users: list[str] = []
    for user_id in user_ids:
        users.append(user_id)
        if zlib.crc32(user_id.encode()) % USERS_PER_LIST == 0 or len(users) == MOST_IN_A_LIST:
            yield users
            users = []
    if users:
        yield users


def key_of(due: datetime, user_ids: Sequence[str]) -> str:
    """Idempotency key of one list of a sweep: the same for the same instant and the same users.

    Examples
    --------
    >>> key_of(datetime(2026, 3, 2, 10, tzinfo=UTC), ["ada", "bob"])
    'sweep:20260302T100000Z:332eb3b519fe3bd59e8abd5c477ef867'
    """
    digest = hashlib.sha256("\0".join(user_ids).encode()).hexdigest()  # no id holds a NUL
    return f"sweep:{due.astimezone(UTC):%Y%m%dT%H%M%SZ}:{digest[:32]}"


def last_due(now: datetime, every: timedelta) -> datetime:
    """The newest instant at which a sweep was due: a multiple of the period since 1970, so that every process says the same.

    Examples
    --------
    >>> last_due(datetime(2026, 3, 2, 10, 59, tzinfo=UTC), timedelta(hours=6)).isoformat()
    '2026-03-02T06:00:00+00:00'
    """
    return now - (now - _EPOCH) % every


def due_times(every: timedelta, *, clock: Callable[[], datetime], wait: Callable[[float], Any]) -> Iterator[datetime]:
    """Yield when sweeps are due, each when it is: the one that has begun at once, then one a period, for ever.

    Those that pass while the caller is busy with an earlier one are left out.

    Parameters
    ----------
    clock
        Answers now, aware.
    wait
        Waits so many seconds, or less.

    Examples
    --------
    >>> now = datetime(2026, 3, 2, 10, 20, tzinfo=UTC)
    >>> next(due_times(timedelta(hours=6), clock=lambda: now, wait=lambda seconds: None)).isoformat()
    '2026-03-02T06:00:00+00:00'
    """
    due = last_due(clock(), every)
    while True:
        yield due
        while (left := due + every - clock()) > timedelta(0):
            wait(left.total_seconds())
        due = last_due(clock(), every)
