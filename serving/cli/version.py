"""``--version``: which Stillhere this is."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter


def version(*, json: Annotated[bool, Parameter(help="Print name and version as JSON.", negative=())] = False) -> None:
    """Print name and version.

    Example: `stillhere --version`
    """
    import importlib.metadata

    number = importlib.metadata.version("stillhere")
    sys.stdout.write(f'{{"name":"stillhere","version":"{number}"}}\n' if json else f"stillhere {number}\n")
