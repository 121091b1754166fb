"""Which events a selector chooses: kinds divided into parts, as far as some feature asks for a subject."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from features.core.catalogue import Catalogue, kind_of, subject_of


class UnknownKindError(ValueError):
    """A feature ranges over a kind that its catalogue does not declare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Every event is of one part: a kind's part about a subject that some feature asks for, or else the rest of its kind.

    Part ``k`` is the rest of kind ``k``; after those come the parts about subjects.
    """

    kinds: Mapping[str, int]  # name: index in the catalogue
    about: tuple[str, ...]  # selectors with a subject, in alphabetical order

    @property
    def kind(self) -> tuple[int, ...]:
        """The kind of each part."""
        return (*range(len(self.kinds)), *(self.kinds[kind_of(selector)] for selector in self.about))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject that is asked for, once."""
        return tuple(sorted({subject_of(selector) or "" for selector in self.about}))

    def part(self, kind: str, subject: str) -> int:
        """The part of the kind's events about the subject."""
        selector = f"{kind}/{subject}"
        return len(self.kinds) + self.about.index(selector) if selector in self.about else self.kinds[kind]

    def chosen(self, selectors: Iterable[str]) -> tuple[int, ...]:
        """The parts whose events any of the selectors chooses, ascending."""
        return tuple(sorted(self.places(sorted(set(selectors)))))

    def places(self, selectors: Sequence[str]) -> dict[int, int]:
        """The place, from 1, of the selector that chooses each part; of two it is the one with the subject.

        Examples
        --------
        >>> parts = Parts(kinds={"login": 0, "view": 1}, about=("view/docs", "view/pricing"))
        >>> parts.places(["view", "view/pricing"])
        {1: 1, 2: 1, 3: 2}
        """
        places: dict[int, int] = {}
        for place, selector in sorted(enumerate(selectors, 1), key=lambda item: subject_of(item[1]) is not None):
            places.update(dict.fromkeys(self._of_one(selector), place))
        return places

    def _of_one(self, selector: str) -> list[int]:
        if subject_of(selector) is not None:
            return [len(self.kinds) + self.about.index(selector)]
        kind = self.kinds[selector]
        return [part for part, of_kind in enumerate(self.kind) if of_kind == kind]


def parts_of(catalogue: Catalogue) -> Parts:
    """The parts of a catalogue's kinds.

    Raises
    ------
    UnknownKindError
        If a feature names a kind that the catalogue does not have.
    """
    kinds = {kind.name: position for position, kind in enumerate(catalogue.kinds)}
    for feature in catalogue.features:
        if unknown := sorted({kind_of(selector) for selector in feature.selectors} - kinds.keys()):
            raise UnknownKindError(
                f"feature {feature.name}: kinds: got {', '.join(unknown)}, expected kinds of the product ({', '.join(sorted(kinds))}); "
                "declare the kind or take it out of the feature"
            )
    asked = {selector for feature in catalogue.features for selector in feature.selectors}
    return Parts(kinds=kinds, about=tuple(sorted(selector for selector in asked if subject_of(selector) is not None)))
