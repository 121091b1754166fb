"""What a machine does once: compile the feature kernel. Who waits for it is told; where it was done before, nothing is said."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from serving.cli.compile_kernel import SERVING
from serving.cli.stack import started
from serving.cli.steps import Steps

if TYPE_CHECKING:
    from rich.console import Console

    from serving.cli.processes import Child
    from serving.settings import Settings

_COMPILED_S = 600.0
"""Past it a slow machine goes on without: whoever uses the kernel compiles it."""


def compile_first(settings: Settings, console: Console) -> None:
    """Compile what serving needs, and say so, where it was never compiled: service and worker would each do the same at once."""
    from features.core.first_use import is_compiled

    if is_compiled():
        return
    console.print("Compiling the feature kernel (once, about a minute) ...")
    with _compiling(settings, SERVING):
        pass


@contextmanager
def compiled_beside(settings: Settings, steps: Steps) -> Iterator[None]:
    """Compile all of the kernel in another process while the context lasts; its end waits for it, and says so."""
    from features.core.first_use import is_compiled

    if not is_compiled():
        steps.console.print("  compiling the feature kernel beside all this (once, about a minute)")
    with _compiling(settings) as child:
        yield
        if child.is_running:
            with steps.step("compiling the feature kernel"):
                _wait(child)


@contextmanager
def _compiling(settings: Settings, *what: str) -> Iterator[Child]:
    with ExitStack() as cleanup:
        arguments = [str(settings.product_folder.absolute()), *what]
        logs_dir = settings.home.root / "logs"
        child = started(cleanup, "compile", "serving.cli.compile_kernel", arguments, environment=dict(os.environ), logs_dir=logs_dir)
        yield child
        _wait(child)


def _wait(child: Child) -> None:
    with suppress(subprocess.TimeoutExpired):  # a failure shows, and is told, where the kernel is used
        child.process.wait(timeout=_COMPILED_S)
