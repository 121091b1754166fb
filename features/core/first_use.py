"""What is compiled on first use, used once: whoever comes first need not wait for it."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from features.core.compiled import is_on_disk
from features.core.event import Event, to_us
from features.core.kernel import vector, vectors
from features.core.passes import pass_over_bytes
from features.core.program import Program
from features.core.timeline import merge, pack, timeline_from_events, unpack
from features.core.timeline_format import summarise


def is_compiled() -> bool:
    """Whether `use_once` loads what was compiled before: else it takes about a minute, once on a machine.

    Told by what it compiles last, which is most of it.
    """
    return is_on_disk(pass_over_bytes)


def use_once(program: Program, at: datetime) -> None:
    """Write, read, merge and summarise a timeline of one event, and compute its features, for one user and for two.

    An empty timeline would not do: most of what reads one begins with the first event.

    Parameters
    ----------
    at
        Any instant, with a zone: of the event, and of the features.

    Examples
    --------
    >>> from datetime import UTC
    >>> from features.core.catalogue import Catalogue, Kind
    >>> from features.core.program import compile_program
    >>> use_once(compile_program(Catalogue(kinds=(Kind(name="login"),), features=())), datetime(2026, 1, 1, tzinfo=UTC))
    """
    kinds = program.catalogue.kinds
    event = Event(event_id="-", user_id="-", kind=kinds[0].name, occurred_at=at, received_at=at)
    timeline = timeline_from_events([event], kinds)
    packed = pack(merge(timeline, unpack(pack(timeline)), kinds))
    summarise(packed)
    vector(packed, to_us(at), program)
    vectors([packed, packed], np.full(2, to_us(at), dtype=np.int64), program)
