"""Whether selectors choose something, and whether two of them choose the same: in groups, funnels and features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from features.core.catalogue import kind_of, subject_of
from features.declarations.faults import Fault, place, quote, unknown
from features.declarations.product_schema import ProductSchema


def group_faults(schema: ProductSchema) -> Iterator[Fault]:
    """What is wrong with the groups."""
    for group, members in schema.groups.items():
        if group in schema.kinds:
            yield Fault(path=place("groups", group), found="the name of a kind", expected="another name", advice="rename the group")
        for index, member in enumerate(members):
            path = place("groups", group, index)
            yield from member_faults(schema, member, path)
            if member in members[:index]:
                yield Fault(path=path, found=f"{quote(member)} again", expected="each kind once", advice="remove it")


def funnel_faults(schema: ProductSchema) -> Iterator[Fault]:
    """What is wrong with the funnels: no two steps may be reached by the same event."""
    for funnel, steps in schema.funnels.items():
        if funnel in schema.kinds or funnel in schema.groups:
            found = "the name of a kind or group"
            yield Fault(path=place("funnels", funnel), found=found, expected="another name", advice="rename the funnel")
        for index, step in enumerate(steps):
            path = place("funnels", funnel, index)
            yield from member_faults(schema, step, path)
            if (same := overlap([step], steps[:index])) is not None:
                yield Fault(
                    path=path, found=f"{quote(step)} after {quote(same[1])}", expected="steps that share no event", advice="remove one"
                )


def member_faults(schema: ProductSchema, selector: str, path: str) -> Iterator[Fault]:
    """What is wrong with a selector whose kind must be declared, and have a subject if one is asked for."""
    kind = kind_of(selector)
    if kind not in schema.kinds:
        yield unknown(path, kind, list(schema.kinds), section="kinds")
    elif subject_of(selector) is not None and schema.kinds[kind].subject is None:
        yield Fault(
            path=path,
            found=f"{quote(selector)} where {kind} has no subject",
            expected="a kind with a subject",
            advice=f"declare the subject of {kind} or name {kind} alone",
        )


def overlap(left: Sequence[str], right: Sequence[str]) -> tuple[str, str] | None:
    """The first two selectors, one of each side, that choose the same event; None if there are none.

    Examples
    --------
    >>> overlap(["login", "view/a"], ["view/b", "view"]), overlap(["view/a"], ["view/b"]) is None
    (('view/a', 'view'), True)
    """
    for one in left:
        for other in right:
            anything = subject_of(one) is None or subject_of(other) is None
            if kind_of(one) == kind_of(other) and (anything or subject_of(one) == subject_of(other)):
                return one, other
    return None
