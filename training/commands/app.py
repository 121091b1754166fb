"""All commands of training in one list, and the one place where an expected failure becomes one readable line."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

import cyclopts
from rich.console import Console

from features.declarations.yaml_file import DeclarationError
from features.ports import StoreError
from models.errors import ModelError
from training.commands.backtest import backtest
from training.commands.drift import drift
from training.commands.evaluate import evaluate
from training.commands.interruption import stopping_in_order
from training.commands.promote import promote
from training.commands.signals import signals
from training.commands.simulate import simulate
from training.commands.thresholds import monitor, thresholds
from training.commands.timing import timing
from training.commands.train import train
from training.commands.trial import trial
from training.commands.tune import tune
from training.commands.uplift import uplift
from training.errors import TrainingError
from training.tracking import name_unjoined_run

app = cyclopts.App(
    name="python -m training",
    help="Simulate, train and register models. `mlflow run . -e train` calls the same commands.",
    suppress_keyboard_interrupt=False,  # `run` says what became of it
    version=lambda: f"stillhere {importlib.metadata.version('stillhere')}",
)
app.command(simulate)
app.command(timing)
app.command(trial)
app.command(train)
app.command(uplift)
app.command(evaluate)
app.command(promote)
app.command(tune)
app.command(thresholds)
app.command(monitor)
app.command(drift)
app.command(backtest)
app.command(signals)

_EXPECTED = (TrainingError, DeclarationError, StoreError, ModelError)
_FAILED, _BAD_INPUT = 1, 2  # as `stillhere` ends


def run(arguments: Sequence[str]) -> int:
    """Run one command: 0 on success, with one sentence 2 where the product is missing or wrong, 1 on another expected error.

    An interruption ends the process (`stopping_in_order`).
    """
    with stopping_in_order():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        app(arguments, exit_on_error=True, result_action="return_value")
    except KeyboardInterrupt as exc:
        name_unjoined_run(f"{next(iter(arguments), '')} interrupted", because=str(exc) or "interrupted")
        raise
    except _EXPECTED as exc:
        Console(stderr=True).print(f"[bold red]stopped:[/] {exc}", highlight=False, soft_wrap=True)
        name_unjoined_run(f"{arguments[0]} refused", because=str(exc))
        return _BAD_INPUT if isinstance(exc, DeclarationError) else _FAILED
    return 0
