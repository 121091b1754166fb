"""What people have said about being tracked, as the stores have it now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from features.core.product import Collection
from features.ingest.collection import Answers, Told, ids_in
from features.ingest.persons import whom
from features.ports import IdentityStore, ProfileStore, UnreadableUsersError

_USERS_PER_READ = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswers:
    """Answers from the profiles of those whom the ids stand for.

    Examples
    --------
    >>> from features.adapters.memory import MemoryProfileStore
    >>> profiles = MemoryProfileStore()
    >>> profiles.write({"ada": {"tracking": True}}, changed_us=1)
    >>> answers = StoredAnswers(collection=Collection(attribute="tracking"), profiles=profiles).of(["ada", "ben"])
    >>> answers.allows("ada"), answers.allows("ben")
    (True, False)
    >>> StoredAnswers(collection=Collection(attribute="tracking", unless_said=True), profiles=profiles).tracked(["ada", "ben"])
    ['ada', 'ben']
    """

    collection: Collection
    profiles: ProfileStore
    identities: IdentityStore | None = None  # None: nobody has a second id

    def of(self, user_ids: Sequence[str]) -> Answers:
        """Answers of the persons whom these ids stand for: one read of whom they stand for, one of their profiles.

        A person whose profile cannot be read counts as one who said no, whatever holds for those who never said: a refusal may be what
        cannot be read, an event that is not collected can be sent again, and one that was collected against somebody's will was.

        Raises
        ------
        StoreError
            If a store cannot be reached.
        """
        person_of = self._person_of(user_ids)
        persons = list(dict.fromkeys(person_of.get(user_id, user_id) for user_id in user_ids))
        said: dict[str, bool] = {}
        for start in range(0, len(persons), _USERS_PER_READ):
            said |= self._said(persons[start : start + _USERS_PER_READ])
        return Answers(collection=self.collection, said=said, person_of=person_of)

    def tracked(self, user_ids: Sequence[str]) -> list[str]:
        """Those whose events may be kept, in their order; read in portions.

        Raises
        ------
        StoreError
            If a store cannot be reached.
        """
        found: list[str] = []
        for start in range(0, len(user_ids), _USERS_PER_READ):
            portion = user_ids[start : start + _USERS_PER_READ]
            found += filter(self.of(portion).allows, portion)
        return found

    def after_aliases(self, applied: Iterable[Told], answers: Answers, *, ahead: Iterable[Told]) -> None:
        """Read again, into ``answers``, what aliases that were applied may have changed for the items ahead.

        All other answers are known already. Reading them again for each alias would make a batch in which many sign in take long.

        Raises
        ------
        StoreError
            If a store cannot be reached.
        """
        joined = frozenset[str]().union(*(answers.joined_by(told) for told in applied))
        user_ids = [user_id for user_id in ids_in(ahead) if answers.person(user_id) in joined] if joined else []
        if user_ids:
            answers.replace(user_ids, self.of(user_ids))

    def _person_of(self, user_ids: Sequence[str]) -> dict[str, str]:
        if self.identities is None:
            return {}
        people = zip(user_ids, whom(self.identities, user_ids), strict=True)
        return {user_id: person.user_id for user_id, person in people if person.previous_ids}

    def _said(self, persons: Sequence[str]) -> dict[str, bool]:
        try:
            profiles = self.profiles.read(persons, [self.collection.attribute])
        except UnreadableUsersError as exc:
            unreadable = dict.fromkeys(exc.user_ids, False)
            return unreadable | self._said([person for person in persons if person not in unreadable])
        answers = zip(persons, (profile.get(self.collection.attribute) for profile in profiles), strict=True)
        return {person: answer for person, answer in answers if isinstance(answer, bool)}
