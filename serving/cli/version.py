"""``--version``: which Stillhere this is."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from serving.cli.terminal import print_json, say


def version(*, json: Annotated[bool, Parameter(help="Print name and version as JSON.", negative=())] = False) -> None:
    """Print name and version.

    Example: `stillhere --version`
    """
    import importlib.metadata

    number = importlib.metadata.version("stillhere")
    if json:
        print_json(f'{{"name":"stillhere","version":"{number}"}}')
    else:
        say(f"stillhere {number}\n")
