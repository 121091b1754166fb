"""What entries of ``logs`` in ``product.yaml`` demand of the rest of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from features.core.catalogue import window_text
from features.declarations.faults import Fault, place, quote, unknown
from features.declarations.log import EPOCH_FORMATS, ISO_FORMAT
from features.declarations.log_schema import (
    DailyCountsSchema,
    EventsSchema,
    LabelsSchema,
    ProfilesSchema,
    ReceivedSchema,
    TimeColumnSchema,
)
from features.declarations.product_schema import ProductSchema

_TIME_KEYS = ("occurred_at", "received_at", "date", "changed_at", "start")


def log_faults(product: ProductSchema) -> Iterator[Fault]:
    """Every fault in the product's logs that a single key does not show."""
    for name, schema in product.logs.items():
        match schema:
            case EventsSchema():
                yield from _events_faults(schema, product, name)
            case DailyCountsSchema():
                yield from _daily_counts_faults(schema, product, name)
            case ProfilesSchema():
                yield from _profiles_faults(schema, product, name)
            case LabelsSchema():
                yield from _labels_faults(schema, name)
        for key in _TIME_KEYS:
            column = getattr(schema, key, None)
            if column is not None:
                yield from _time_faults(column, place("logs", name, key))


def _events_faults(schema: EventsSchema, product: ProductSchema, name: str) -> Iterator[Fault]:
    kind, received = schema.kind, schema.received_at
    yield from _exactly_one(place("logs", name, "kind"), {"column": kind.column, "constant": kind.constant})
    yield from _exactly_one(place("logs", name, "received_at"), {"column": received.column, "same_as": received.same_as})
    named = {place("logs", name, "kind", "values", value): kind for value, kind in schema.kind.values.items()}
    if schema.kind.constant is not None:
        named[place("logs", name, "kind", "constant")] = schema.kind.constant
    for path, named_kind in named.items():
        yield from _unfilled(schema, product, named_kind, path)


def _unfilled(schema: EventsSchema, product: ProductSchema, kind: str, path: str) -> Iterator[Fault]:
    """Name what the kind needs and the log has no column for: all of its rows would be rejected."""
    if kind not in product.kinds:
        yield unknown(path, kind, list(product.kinds), section="kinds")
        return
    needs = {"value": product.kinds[kind].value_unit, "subject": product.kinds[kind].subject}
    for key, need in needs.items():
        if need is not None and getattr(schema, key) is None:
            expected = f"a {key} column, which {kind} needs ({need})"
            yield Fault(path=path, found=f"{quote(kind)} without a {key} column", expected=expected, advice=f"add {key} to the log")


def _daily_counts_faults(schema: DailyCountsSchema, product: ProductSchema, name: str) -> Iterator[Fault]:
    for column, kind in schema.kinds.items():
        path = place("logs", name, "kinds", column)
        body = product.kinds.get(kind)
        if body is None:
            yield unknown(path, kind, list(product.kinds), section="kinds")
        elif body.value_unit is None or body.subject is not None:
            advice = f"declare kinds.{kind}.value_unit: count, and no subject"
            yield Fault(path=path, found=quote(kind), expected="a kind with a value_unit and without a subject", advice=advice)


def _profiles_faults(schema: ProfilesSchema, product: ProductSchema, name: str) -> Iterator[Fault]:
    for column, attribute in schema.attributes.items():
        if attribute not in product.profile:
            yield unknown(place("logs", name, "attributes", column), attribute, list(product.profile), section="profile")
    if (schema.changed_at is None) == (schema.known_since is None):
        yield Fault(
            path=place("logs", name),
            found="neither changed_at nor known_since" if schema.changed_at is None else "changed_at and known_since",
            expected="exactly one of changed_at, known_since",
            advice="name the column of when each value became known; only if no value ever changes, write known_since: beginning,"
            " which shows today's values to every past training row",
        )


def _labels_faults(schema: LabelsSchema, name: str) -> Iterator[Fault]:
    if schema.known_after < schema.as_of_after:
        path = place("logs", name, "known_after")
        expected = f"at least as_of_after, {window_text(schema.as_of_after)}"
        yield Fault(path=path, found=window_text(schema.known_after), expected=expected, advice="a label is known after its as_of")
    both = sorted(set(schema.label.dropped_out) & set(schema.label.stayed))
    if both:
        path = place("logs", name, "label", "stayed")
        yield Fault(path=path, found=f"{', '.join(both)} also under dropped_out", expected="each value once", advice="remove one of them")


def _exactly_one(path: str, choices: Mapping[str, str | None]) -> Iterator[Fault]:
    given = [key for key, value in choices.items() if value is not None]
    if len(given) != 1:
        found = " and ".join(given) or "neither"
        yield Fault(path=path, found=found, expected=f"exactly one of {', '.join(choices)}", advice="keep one")


def _time_faults(schema: TimeColumnSchema | ReceivedSchema, path: str) -> Iterator[Fault]:
    if schema.assume_timezone is not None:
        return
    for index, pattern in enumerate(schema.formats):
        if pattern not in (ISO_FORMAT, *EPOCH_FORMATS) and "%z" not in pattern:
            yield Fault(
                path=f"{path}.formats[{index}]",
                found=quote(pattern),
                expected="an assume_timezone beside a pattern without %z",
                advice="add assume_timezone: UTC if the times are in UTC",
            )
