"""What guardrails, switches and signals of ``policy.yaml`` must fit: names that exist, and no alert on one weak signal."""

from __future__ import annotations

from collections.abc import Iterator

from features.core.catalogue import kind_of
from features.core.condition import Condition
from features.core.product import Product
from features.declarations.faults import Fault, place, quote
from serving.policy_file.names import condition_faults, unless_known
from serving.policy_file.schema import PolicySchema


def safety_faults(schema: PolicySchema, product: Product) -> Iterator[Fault]:
    """Every fault of the sections that keep messages back."""
    for name, guardrail in schema.guardrails.items():
        for index, condition in enumerate(guardrail.conditions):
            yield from condition_faults(condition, place("guardrails", name, "conditions", index), product)
    yield from _switch_faults(schema)
    yield from _static_faults(schema)
    yield from _weak_faults(schema, product)


def _switch_faults(schema: PolicySchema) -> Iterator[Fault]:
    off = schema.switched_off
    for section, names, known in (
        ("channels", off.channels, schema.channels),
        ("triggers", off.triggers, schema.triggers),
        ("messages", off.messages, schema.messages),
    ):
        for index, name in enumerate(names):
            yield from unless_known(name, list(known), place("switched_off", section, index), section)


def _static_faults(schema: PolicySchema) -> Iterator[Fault]:
    """Core elements stay as they are (S1.18): no message may alter one."""
    for name, message in schema.messages.items():
        if message.element is not None and message.element in schema.static_elements:
            expected, advice = "an element that is not static", "take the element out of static_elements, or leave it to the product"
            yield Fault(path=place("messages", name, "element"), found=quote(message.element), expected=expected, advice=advice)


def _weak_faults(schema: PolicySchema, product: Product) -> Iterator[Fault]:
    """One hesitation never fires (S4.14): beside weak signals a trigger needs another one, or the risk."""
    kinds = [kind.name for kind in product.catalogue.kinds]
    for index, kind in enumerate(schema.weak_signals):
        yield from unless_known(kind, kinds, place("weak_signals", index), "kinds of product.yaml")
    weak = set(schema.weak_signals)
    signals = {feature.name: {kind_of(selector) for selector in feature.selectors} for feature in product.catalogue.features}
    for name, trigger in schema.triggers.items():
        named = [signals[c.feature] for c in trigger.conditions if isinstance(c, Condition) and c.feature in signals]
        kinds_of = set[str]().union(*named)  # segments and ages are no signals
        if kinds_of and kinds_of <= weak and not trigger.risk_above_threshold:
            path, found = place("triggers", name, "conditions"), f"conditions on {', '.join(sorted(kinds_of))} alone"
            advice = "add a condition on another kind: one hesitation never fires"
            yield Fault(path=path, found=found, expected="another signal beside weak_signals", advice=advice)
