"""The `behaviour` view's function: every named feature from a packed timeline and an `as_of`.

Feast keeps the *source text* of a view's function in its registry and runs that text anew in every client, so the function carries its
catalogue with it as JSON and imports everything else when called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from features.core.catalogue import Catalogue, Kind
from features.core.kernel import vectors
from features.core.plain import feature_from_plain, feature_to_plain
from features.core.program import Program, compile_program

BEHAVIOUR_VIEW = "behaviour"
AS_OF = "as_of_us"
"""Name of the request field: microseconds since the Unix epoch. Feast's own timestamp type would round to whole seconds."""

_SOURCE = """\
def behaviour(inputs):
    from features.adapters.behaviour import behaviour_columns

    return behaviour_columns(inputs["packed"], inputs["as_of_us"], {catalogue!r})
"""


def behaviour_source(catalogue: Catalogue) -> str:
    """Python source of the view's function for one catalogue; equal catalogues give equal text."""
    return _SOURCE.format(catalogue=catalogue_to_json(catalogue))


def behaviour_function(catalogue: Catalogue) -> Callable[[dict[str, list[Any]]], dict[str, list[float]]]:
    """The function that `behaviour_source` defines."""
    namespace: dict[str, Any] = {"__name__": "__main__"}  # else dill would ask every client for this module's globals
    exec(behaviour_source(catalogue), namespace)  # noqa: S102 - our own template, the same way Feast will run it
    function: Callable[[dict[str, list[Any]]], dict[str, list[float]]] = namespace[BEHAVIOUR_VIEW]
    return function


def behaviour_columns(packed: Sequence[bytes | None], as_of_us: Sequence[int], catalogue_json: str) -> dict[str, list[float]]:
    """All features of some users, as columns under their plain and under their full name (Feast picks the one it was asked for).

    Parameters
    ----------
    packed
        One packed timeline per user; None, an unknown user, counts as the empty timeline.
    as_of_us
        One instant per user.
    catalogue_json
        As `catalogue_to_json` writes it.
    """
    program, names = _program(catalogue_json)
    values = vectors([timeline or b"" for timeline in packed], np.asarray(as_of_us, np.int64), program)
    columns = {name: values[:, position].tolist() for position, name in enumerate(names)}
    return columns | {f"{BEHAVIOUR_VIEW}__{name}": column for name, column in columns.items()}


def catalogue_to_json(catalogue: Catalogue) -> str:
    """What of a catalogue decides its numbers, and no more.

    Examples
    --------
    >>> catalogue_to_json(Catalogue(kinds=(Kind(name="login"),), features=()))
    '{"features":[],"kinds":[["login",64,2,null]]}'
    """
    content = {
        "features": [feature_to_plain(feature) for feature in catalogue.features],
        "kinds": [[kind.name, kind.keep, kind.keep_first, kind.value_unit] for kind in catalogue.kinds],
    }
    return json.dumps(content, separators=(",", ":"))  # orjson has no whole numbers beyond 64 bits, and windows may be longer


def catalogue_from_json(text: str) -> Catalogue:
    """The inverse of `catalogue_to_json`: same fingerprint, same vectors."""
    content = json.loads(text)
    return Catalogue(
        kinds=tuple(Kind(name=name, keep=keep, keep_first=first, value_unit=unit) for name, keep, first, unit in content["kinds"]),
        features=tuple(feature_from_plain(feature) for feature in content["features"]),
    )


@lru_cache(maxsize=8)
def _program(catalogue_json: str) -> tuple[Program, tuple[str, ...]]:
    catalogue = catalogue_from_json(catalogue_json)
    return compile_program(catalogue), catalogue.feature_names
