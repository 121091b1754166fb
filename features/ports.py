"""What the features side needs from the outside world."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from features.core.alias import Alias
from features.core.event import Event
from features.core.timeline import NewerTimelineFormatError, Timeline, TimelineFormatError


class StoreError(Exception):
    """A store could not be reached or answered wrongly; the cause is chained."""


class StoreTimeoutError(StoreError):
    """A store did not answer in time; asking it again at once would only wait again."""


class UnreadableUsersError(StoreError):
    """What is stored of some users cannot be read; the store itself answers, so trying again does not help.

    Parameters
    ----------
    newer
        Those of the users of whom nothing is wrong: a newer release wrote it, and reads it.

    Examples
    --------
    >>> str(UnreadableUsersError("timeline", ["ada"]))
    "the stored timeline of user 'ada' cannot be read; run `stillhere rebuild ada`"
    >>> str(UnreadableUsersError("timeline", ["ada"], newer=["ada"]))
    "the stored timeline of user 'ada' was written by a newer version of Stillhere; upgrade this process"
    """

    def __init__(self, part: str, user_ids: Sequence[str], *, newer: Collection[str] = ()) -> None:
        self.user_ids = tuple(user_ids)
        self.newer = frozenset(newer)
        broken = [user_id for user_id in self.user_ids if user_id not in self.newer]
        sentences = []
        if broken:
            remedy = f"run `stillhere rebuild {broken[0]}`" if part == "timeline" else "import or send it again"
            sentences.append(f"the stored {part} of {_named(broken)} cannot be read; {remedy}")
        if self.newer:
            upgrade = "was written by a newer version of Stillhere; upgrade this process"
            sentences.append(f"the stored {part} of {_named(sorted(self.newer))} {upgrade}")
        super().__init__("; ".join(sentences))


def unreadable_timelines(errors: Mapping[str, TimelineFormatError]) -> UnreadableUsersError:
    """The error that names the users whose bytes could not be read, by what was wrong with them."""
    newer = {user_id for user_id, error in errors.items() if isinstance(error, NewerTimelineFormatError)}
    return UnreadableUsersError("timeline", sorted(errors), newer=newer)


def _named(user_ids: Sequence[str]) -> str:
    return f"user {user_ids[0]!r}" if len(user_ids) == 1 else f"{len(user_ids)} users, first {user_ids[0]!r},"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTimeline:
    """One user's timeline as the online store holds it."""

    packed: bytes  # b"" when the user is unknown
    version_us: int  # the row's compare-and-set version; 0 when the user is unknown


class TimelineStore(Protocol):
    """The live timelines; every write is a merge, so nothing a concurrent writer wrote is lost."""

    def read(self, user_ids: Sequence[str]) -> list[StoredTimeline]:
        """Timelines in the order asked for.

        Raises
        ------
        UnreadableUsersError
            Naming the users whose rows cannot be read; ask again without them. Bytes that are no timeline may also come back as they are.
        """

    def merge(self, updates: Mapping[str, Timeline]) -> None:
        """Merge each user's update into the stored timeline; returns once all are stored.

        Raises
        ------
        UnreadableUsersError
            Naming the users whose stored timeline cannot be read and was left as it is; everybody else's update is stored.
        """

    def rebuild(self, updates: Mapping[str, Timeline]) -> None:
        """As `merge`, but a stored timeline that cannot be read is replaced by the update."""

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove the users' timelines; unknown users are no error."""


class ProfileStore(Protocol):
    """The newest value of every profile attribute."""

    def read(self, user_ids: Sequence[str], names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Attributes by name (those of ``names``; None: all), in the order asked for; unknown users and unset attributes are left out.

        Raises
        ------
        UnreadableUsersError
            Naming the users whose profile cannot be read; ask again without them.
        """

    def write(self, rows: Mapping[str, Mapping[str, Any]], *, changed_us: int) -> None:
        """Set attributes of users (those not named keep their value)."""

    def write_history(self, history: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> None:
        """Set attributes as of many instants: changed_us -> user -> attributes; what an import of past changes wants."""

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove all attributes of the users; unknown users are no error."""


class RawLog(Protocol):
    """Every admitted event, for ever; the source of every training set."""

    def append(self, events: Sequence[Event]) -> None:
        """Durable once this returns. The same event twice is stored twice and read once."""

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove every event of the users; others' events stay readable throughout."""


class AliasLog(Protocol):
    """Every accepted alias, for ever; with the raw log, the source of every training set."""

    def append(self, aliases: Sequence[Alias]) -> None:
        """Durable once this returns. The same alias twice is stored twice and read once."""

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove every alias that names one of the users."""


class AliasRefusal(StrEnum):
    """Why an alias is not accepted."""

    CONFLICT = "alias_conflict"  # the previous id is attached to another user already
    CYCLE = "alias_cycle"  # the user is, or stands for, the previous id itself
    ERASED = "user_erased"  # one of the two ids was erased


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Whom an id is attached to, and since when."""

    user_id: str
    known_us: int  # earliest received_at of the alias


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is special about an id."""

    link: Link | None = None
    is_erased: bool = False


class IdentityStore(Protocol):
    """Which ids stand for whom, and which were erased. Every method raises `StoreError` when the store cannot be reached.

    Whoever writes something under an id writes first and asks for its standing afterwards; an alias or an erasure is recorded here first
    and acts on what is stored afterwards. So of two that run at once at least one sees the other.
    """

    def claim(self, alias: Alias) -> AliasRefusal | None:
        """Attach, atomically and durably; the first accepted alias of a previous id wins. The same one again is accepted again."""

    def standing(self, user_ids: Sequence[str]) -> dict[str, Standing]:
        """Standing of the ids that are attached or erased; all others are left out. One round trip."""

    def ids_of(self, user_id: str) -> tuple[str, ...]:
        """All ids of the person whom ``user_id`` is one of: the one all others are attached to first."""

    def mark_erased(self, user_id: str) -> tuple[str, ...]:
        """`ids_of`, all of them marked as erased in the same atomic step; no alias of theirs is accepted any more."""

    def forget(self, user_ids: Sequence[str]) -> None:
        """Remove the ids from all links; the marks of erasure (which do not hold the ids) stay."""
