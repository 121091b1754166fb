"""How Feast is imported: without being rewritten for type checks at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typeguard


def spare_feast_typeguard() -> None:
    """Let typeguard leave Feast's own classes alone, in this process.

    Feast decorates its classes with ``typeguard.typechecked``, which parses and compiles each of their modules anew in every process:
    5 of the 7 seconds of CPU that importing Feast takes. Everything else that uses typeguard stays checked. Does nothing once Feast is
    imported.
    """
    checked = typeguard.typechecked
    if getattr(checked, "spares_feast", False):
        return

    def typechecked(target: Any = None, **options: Any) -> Any:
        if target is not None and str(getattr(target, "__module__", "")).startswith("feast."):
            return target
        return checked(**options) if target is None else checked(target, **options)

    sparing: Callable[..., Any] = typechecked
    sparing.spares_feast = True  # type: ignore[attr-defined]
    typeguard.typechecked = sparing
