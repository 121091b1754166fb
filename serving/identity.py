"""One person under several ids: what an alias brings about, and why an item about an id is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from features.core.alias import Alias
from features.core.event import Event
from features.ingest.admission import ProfileChange
from features.ingest.persons import whom
from features.ingest.rejection import Rejection, shown
from features.ingest.unified import UnifiedProfileStore, UnifiedTimelineStore
from features.ports import AliasLog, AliasRefusal, IdentityStore, StoreError
from serving.decision.values import Contact, Permit
from serving.ports import Commit, CommitResult, ContactBook, Deliveries, Delivery, Ledger, LedgerError

_EXPECTED = {
    AliasRefusal.CONFLICT: "an id that is attached to nobody or to this user: an id belongs to one user for good, the first who claimed it",
    AliasRefusal.CYCLE: "an id that the user does not stand for already",
    AliasRefusal.ERASED: "ids of users who were not erased",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacher:
    """Carries out aliases. Every step can be repeated: after a crash anywhere the same alias again completes what is missing."""

    product: str
    identities: IdentityStore
    timelines: UnifiedTimelineStore
    profiles: UnifiedProfileStore
    contacts: ContactBook
    log: AliasLog

    def attach(self, alias: Alias) -> AliasRefusal | None:
        """Attach, then carry timeline, profile and contacts to the end of the chain; nothing is carried when it is refused.

        The link comes first: whatever is written under the previous id from then on follows it by itself.

        Raises
        ------
        StoreError
            If a store failed; attach again when it is back.
        UnreadableUsersError
            If a timeline on the way cannot be read: all else is done, a rebuild does the rest.
        """
        refusal = self.identities.claim(alias)
        if refusal is not None:
            return refusal
        try:
            self.timelines.carry(alias.previous_id)
        finally:  # a timeline that cannot be read is no reason to forget a withdrawn consent or a contact
            self._carry_rest(alias.previous_id)
        return None

    def _carry_rest(self, previous_id: str) -> None:
        self.profiles.carry(previous_id)
        try:
            adopt_contacts(self.identities, self.contacts, self.product, previous_id)
        except LedgerError as exc:
            raise StoreError(str(exc)) from exc

    def record(self, aliases: Sequence[Alias]) -> None:
        """Log accepted aliases for training; before this they may not be acknowledged."""
        self.log.append(aliases)


def adopt_contacts(identities: IdentityStore, contacts: ContactBook, product: str, user_id: str) -> None:
    """Copy the contacts of an id to everyone along its chain, so that no message is repeated on a second device."""
    while (known := identities.standing([user_id]).get(user_id)) is not None and known.link is not None:
        contacts.adopt(product, user_id, known.link.user_id)
        user_id = known.link.user_id


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowingLedger:
    """A ledger whose contacts follow aliases: one that is reserved for an id while it is being attached also counts for the user."""

    inner: Ledger
    contact_book: ContactBook
    identities: IdentityStore

    def contacts(self, product: str, user_id: str, *, since_us: int) -> tuple[Contact, ...]:
        """Contacts with at_us >= since_us, oldest first."""
        return self.inner.contacts(product, user_id, since_us=since_us)

    def commit(self, product: str, commit: Commit) -> CommitResult:
        """Commit; a contact is then copied to whom its id was attached to meanwhile."""
        (result,) = self.commit_many(product, [commit])
        if isinstance(result, LedgerError):
            raise result
        return result

    def commit_many(self, product: str, commits: Sequence[Commit]) -> list[CommitResult | LedgerError]:
        """`commit` of each; whether anyone was attached meanwhile the ledger tells along with it, or is asked once for all of them."""
        results = self.inner.commit_many(product, commits)
        sent = [place for place, result in enumerate(results) if commits[place].contact is not None and _may_be_attached(result)]
        if sent:
            self._follow(product, {place: commits[place].user_id for place in sent}, results)
        return results

    def without_room(self, product: str, windows: Sequence[Permit]) -> list[Permit]:
        """Those windows of rate limits that have no place left."""
        return self.inner.without_room(product, windows)

    def _follow(self, product: str, user_ids: Mapping[int, str], results: list[CommitResult | LedgerError]) -> None:
        """Copy the contacts of those who are attached; where that fails, so does the commit."""
        try:
            standing = self.identities.standing(list(dict.fromkeys(user_ids.values())))
        except StoreError as exc:
            results[:] = [LedgerError(str(exc)) if place in user_ids else result for place, result in enumerate(results)]
            return
        for place, user_id in user_ids.items():
            if user_id in standing and standing[user_id].link is not None:
                results[place] = self._adopted(product, user_id, results[place])

    def _adopted(self, product: str, user_id: str, result: CommitResult | LedgerError) -> CommitResult | LedgerError:
        try:
            adopt_contacts(self.identities, self.contact_book, product, user_id)
        except StoreError as exc:
            return LedgerError(str(exc))
        except LedgerError as exc:
            return exc
        return result

    def receipt(self, product: str, decision_id: str) -> bytes | None:
        """The stored receipt, or None."""
        return self.inner.receipt(product, decision_id)

    def timeline(self, product: str, user_id: str, timeline_hash: str) -> bytes | None:
        """The stored timeline version, or None."""
        return self.inner.timeline(product, user_id, timeline_hash)

    def outbox(self, product: str) -> list[bytes]:
        """Delivery orders not yet taken by a sender."""
        return self.inner.outbox(product)


def _may_be_attached(result: CommitResult | LedgerError) -> bool:
    return isinstance(result, CommitResult) and result.committed and result.is_attached is not False


def alias_rejection(alias: Alias, refusal: AliasRefusal) -> Rejection:
    """Why an alias is refused, as a value for callers."""
    got = f"{shown(alias.previous_id)} for user {shown(alias.user_id)}"
    return Rejection(code=refusal.value, field="previous_id", message=f"previous_id: got {got}, expected {_EXPECTED[refusal]}")


def foreseen_rejections(identities: IdentityStore, items: Sequence[Event | ProfileChange | Alias]) -> list[Rejection | None]:
    """What is known to be wrong with items before they are accepted: an erased user, an alias that must be refused.

    The worker decides for good; this tells senders early. The alias of a profile change is left to it: its traits count in any case.
    """
    standing = identities.standing(list({user_id for item in items for user_id in _ids_in(item)}))
    erased = {user_id for user_id, known in standing.items() if known.is_erased}
    found: list[Rejection | None] = []
    for item in items:
        if not erased.isdisjoint(_ids_in(item)):
            message = f"user_id: got an id of an erased user, expected {_EXPECTED[AliasRefusal.ERASED]}"
            found.append(Rejection(code=AliasRefusal.ERASED.value, field="user_id", message=message))
        else:
            refusal = _foreseen(identities, item) if isinstance(item, Alias) else None
            found.append(None if refusal is None or not isinstance(item, Alias) else alias_rejection(item, refusal))
    return found


def _ids_in(item: Event | ProfileChange | Alias) -> tuple[str, ...]:
    return (item.previous_id, item.user_id) if isinstance(item, Alias) else (item.user_id,)


def _foreseen(identities: IdentityStore, alias: Alias) -> AliasRefusal | None:
    known = identities.standing([alias.previous_id]).get(alias.previous_id)
    if known is not None and known.link is not None:
        return None if known.link.user_id == alias.user_id else AliasRefusal.CONFLICT
    (end,) = whom(identities, [alias.user_id])
    return AliasRefusal.CYCLE if end.user_id == alias.previous_id else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowingDeliveries:
    """News of deliveries that follows aliases: what reached an id counts for the user it was attached to since."""

    ledger: Ledger
    inner: Deliveries
    contact_book: ContactBook
    identities: IdentityStore

    def confirm(self, product: str, decision_id: str, *, delivered_us: int) -> Delivery:
        """The decision's contact was delivered at this instant: it counts for good, from then on, for whom its id stands for now."""
        result = self.inner.confirm(product, decision_id, delivered_us=delivered_us)
        receipt = self.ledger.receipt(product, decision_id) if result is Delivery.CONFIRMED else None
        if receipt is not None:
            try:
                adopt_contacts(self.identities, self.contact_book, product, orjson.loads(receipt)["inputs"]["user_id"])
            except StoreError as exc:
                raise LedgerError(str(exc)) from exc
        return result

    def release(self, product: str, decision_id: str) -> Delivery:
        """The decision's contact was not delivered: its place is free; a copy that an alias made keeps its own."""
        return self.inner.release(product, decision_id)
