"""What is loaded once a service has started stays until it ends: collections of garbage need not walk it in between."""

from __future__ import annotations

import gc


def keep() -> None:
    """Take what there is now out of every collection to come; each would stop whatever is being answered."""
    gc.collect()
    gc.freeze()


def let_go() -> None:
    """Take it back: what is frozen when the interpreter ends is not freed, which libraries report as leaks."""
    gc.unfreeze()
