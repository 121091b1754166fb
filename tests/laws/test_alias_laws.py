"""Aliases and events in any order, repeated and interleaved, leave the same bytes; and the raw log says the same as the live store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.adapters.alias_log import ParquetAliasLog
from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import read_columns
from features.backfill.snapshots import snapshots_of
from features.core.alias import Alias, attach
from features.core.catalogue import Catalogue, Kind
from features.core.event import Event, text_hash, to_us
from features.core.kernel import vector
from features.core.product import Label, Product
from features.core.program import compile_program
from features.core.timeline import Timeline, merge, pack, timeline_from_events, unpack
from features.ingest.merge_batch import merge_events
from features.ingest.persons import whom
from tests.laws.catalogues import full_catalogue, kinds
from tests.laws.histories import histories
from tests.oracle_definitions import DEFINITIONS, Sight
from tests.oracle_facts import Fact, distinct, kept_of
from tests.unified_world import UnifiedWorld

IDS = ("phone", "laptop", "tablet", "ada")
LATER = (timedelta(0), timedelta(microseconds=1), timedelta(hours=3), timedelta(days=2))
START = datetime(2026, 3, 4, tzinfo=UTC)


@dataclass(frozen=True)
class HeldFact(Fact):
    """A fact as known to someone whom its id is attached to."""

    received_us: int = 0

    @property
    def effective_us(self) -> int:
        return min(self.sent_us, self.received_us)


@dataclass(frozen=True)
class Household:
    """Ids with their events, and who is attached to whom, each alias sent one or more times."""

    events: tuple[Event, ...]
    aliases: tuple[Alias, ...]

    def holders(self, user_id: str) -> dict[str, int]:
        """Everyone along the chain of an id, and from when on they know its events: the latest of the earliest aliases."""
        found, known_us = {user_id: -(1 << 62)}, -(1 << 62)
        while steps := [alias for alias in self.aliases if alias.previous_id == user_id]:
            user_id, known_us = steps[0].user_id, max(known_us, min(alias.known_us for alias in steps))
            found[user_id] = known_us
        return found

    def facts_of(self, holder: str) -> list[HeldFact]:
        """What the definition says is known of a holder: each distinct event of each of their ids, the earliest where two ids sent it."""
        first: dict[tuple[str, int], HeldFact] = {}
        for user_id in IDS:
            since_us = self.holders(user_id).get(holder)
            for fact in [] if since_us is None else distinct(event for event in self.events if event.user_id == user_id):
                held = HeldFact(**{**vars_of(fact), "known_us": max(fact.known_us, since_us)}, received_us=fact.known_us)
                twin = first.get((fact.kind, fact.hash), held)
                known_us, received_us = min(held.known_us, twin.known_us), min(held.received_us, twin.received_us)
                first[fact.kind, fact.hash] = replace(held, known_us=known_us, received_us=received_us)
        return list(first.values())


def vars_of(fact: Fact) -> dict[str, object]:
    return {name: getattr(fact, name) for name in Fact.__dataclass_fields__}


@st.composite
def households(draw: st.DrawFn) -> Household:
    """Each id may be attached to one further on in the list, so chains and stars without circles."""
    events = [replace(event, user_id=draw(st.sampled_from(IDS))) for event in draw(histories())]
    aliases = []
    for place, previous_id in enumerate(IDS[:-1]):
        user_id = draw(st.sampled_from((None, *IDS[place + 1 :])))
        at = START + draw(st.sampled_from(LATER)) * draw(st.sampled_from((-1, 1)))
        for _ in range(0 if user_id is None else draw(st.integers(1, 2))):
            received_at = at + draw(st.sampled_from(LATER))
            aliases.append(Alias(previous_id=previous_id, user_id=str(user_id), occurred_at=at, received_at=received_at))
    return Household(events=tuple(events), aliases=tuple(aliases))


def product_of(catalogue: Catalogue) -> Product:
    label = Label(activity=(catalogue.kinds[0].name,), horizon=timedelta(days=1))
    return Product(name="law", description="", catalogue=catalogue, causes=(), label=label)


def lived(product: Product, steps: Sequence[Event | Alias]) -> UnifiedWorld:
    world = UnifiedWorld(product)
    for step in steps:
        if isinstance(step, Alias):
            assert world.attacher.attach(step) is None
        else:
            merge_events([step], product, world.timelines)
    return world


@given(histories(), histories(), kinds(), st.integers(-(10**9), 2 * 10**15), st.integers(-(10**9), 2 * 10**15))
def test_attaching_commutes_with_merging_and_repeats_at_the_later_instant(
    left: list[Event], right: list[Event], kinds: tuple[Kind, ...], first_us: int, second_us: int
) -> None:
    a, b = timeline_from_events(left, kinds), timeline_from_events(right, kinds)
    assert pack(attach(merge(a, b, kinds), first_us)) == pack(merge(attach(a, first_us), attach(b, first_us), kinds))
    assert pack(attach(attach(a, first_us), second_us)) == pack(attach(a, max(first_us, second_us)))
    assert pack(attach(Timeline(), first_us)) == b""


@settings(max_examples=60)
@given(households(), kinds(), st.data())
def test_any_interleaving_with_repeats_leaves_the_bytes_that_the_definition_says(
    household: Household, kinds: tuple[Kind, ...], data: st.DataObject
) -> None:
    product = product_of(Catalogue(kinds=kinds, features=()))
    steps: list[Event | Alias] = [*household.events, *household.aliases]
    again = [*steps, *data.draw(st.lists(st.sampled_from(steps), max_size=8))] if steps else []
    worlds = [lived(product, steps), lived(product, data.draw(st.permutations(again)))]
    for user_id in IDS:
        packed = {world.packed(user_id) for world in worlds}
        assert len(packed) == 1
        timeline = unpack(packed.pop())
        facts = household.facts_of(user_id)
        expected = {
            (text_hash(fact.kind), fact.sent_us, fact.hash, fact.known_us, max(0, fact.sent_us - fact.received_us))
            for kind in kinds
            for fact in kept_of(kind, facts)
        }
        assert set(zip(*timeline.events[:5].tolist(), strict=True)) == expected
    ends = [person.user_id for person in whom(worlds[1].identities, IDS)]
    assert ends == [list(household.holders(user_id))[-1] for user_id in IDS]


@settings(max_examples=15)
@given(households(), st.sampled_from((1, 2, 64)))
def test_the_raw_log_and_the_log_of_aliases_say_what_the_live_timelines_say_and_what_was_known_before(
    household: Household, keep: int
) -> None:
    check_that_logs_say_what_was_known(household, keep)


@pytest.mark.faults
@settings(max_examples=300)
@given(households(), st.sampled_from((1, 2, 64)))
def test_the_logs_say_what_was_known_for_longer(household: Household, keep: int) -> None:
    check_that_logs_say_what_was_known(household, keep)


def check_that_logs_say_what_was_known(household: Household, keep: int) -> None:
    product = product_of(full_catalogue(keep=keep))
    instants = sorted({fact.known_us for user_id in IDS for fact in household.facts_of(user_id)} | {to_us(START)})
    as_of = [at for at_us in instants[:: max(1, len(instants) // 6)] for at in (at_us - 1, at_us)] + [instants[-1] + 1]
    with TemporaryDirectory() as folder:
        ParquetRawLog(Path(folder) / "raw").append(household.events)
        ParquetAliasLog(Path(folder) / "aliases").append(household.aliases)
        raw = read_columns(Path(folder) / "raw", product)
    rows = [(user_id, at) for user_id in IDS for at in as_of]
    spine = pa.table(
        {"user_id": [user_id for user_id, _ in rows], "as_of": pa.array([at for _, at in rows]).cast(pa.timestamp("us", "UTC"))}
    )
    table = snapshots_of(raw, product, spine)
    numbers = np.column_stack([table[name].to_numpy() for name in product.catalogue.feature_names])
    world, program = lived(product, [*household.events, *household.aliases]), compile_program(product.catalogue)
    for (user_id, at_us), row in zip(rows, numbers, strict=True):
        end = stands_for(household, user_id, at_us)
        known = [fact for fact in household.facts_of(end) if fact.known_us <= at_us]
        kept = [fact for kind in product.catalogue.kinds for fact in kept_of(kind, known)]
        sights = [Sight(feature=feature, kept=kept, as_of_us=at_us) for feature in product.catalogue.features]
        np.testing.assert_array_equal(row, [float(DEFINITIONS[sight.feature.aggregation](sight)) for sight in sights])
        if at_us == as_of[-1]:
            np.testing.assert_array_equal(row, vector(world.packed(end), at_us, program))


def stands_for(household: Household, user_id: str, at_us: int) -> str:
    """Whom an id stood for: the chain as far as its aliases were known by then."""
    while steps := [alias for alias in household.aliases if alias.previous_id == user_id]:
        if min(alias.known_us for alias in steps) > at_us:
            break
        user_id = steps[0].user_id
    return user_id
