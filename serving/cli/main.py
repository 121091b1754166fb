"""All commands in one list, and the one place where an expected failure becomes one readable line."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

import cyclopts

from serving.cli import (
    compact_command,
    consistency_command,
    decide,
    demo,
    features_command,
    import_command,
    init_command,
    people,
    policy_command,
    rebuild_command,
    replay_command,
    serve,
    shadow_command,
    sweep_command,
    train,
    version,
)
from serving.cli.faults import expected_failures, one_line
from serving.cli.terminal import warn

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130

HELP = """Predicts who is about to drop out and decides, within caps, whether and how to help.

Start with `stillhere demo`. Settings come from the environment (STILLHERE_HOME, STILLHERE_PRODUCT, STILLHERE_REDIS_URL,
MLFLOW_TRACKING_URI; see docs/operations.md); --home and --product count more."""


def build_app() -> cyclopts.App:
    """Put the commands together."""
    app = cyclopts.App(name="stillhere", help=HELP, version_flags=[], help_format="markdown")
    app.command(demo.demo)
    app.command(demo.up)
    app.command(init_command.init)
    app.command(import_command.import_logs, name="import")
    app.command(rebuild_command.rebuild)
    app.command(train.train)
    app.command(serve.serve)
    app.command(decide.decide)
    app.command(decide.explain)
    app.command(replay_command.replay)
    app.command(policy_command.build())
    app.command(consistency_command.consistency)
    app.command(shadow_command.shadow)
    app.command(sweep_command.sweep)
    app.command(features_command.features)
    app.command(compact_command.compact)
    app.command(people.receipts)
    app.command(people.erase)
    app.command(version.version, name="--version")
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run one command; the exit code is 0, 1 when something failed, 2 for bad input, 130 after Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_interrupt)  # so that what we started is always ended in order
    try:
        code = build_app()(arguments, exit_on_error=False, result_action="return_value")
    except cyclopts.CycloptsError:
        sys.exit(BAD_INPUT)  # Cyclopts has said what is wrong
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except expected_failures() as exc:
        warn(one_line(exc))
        sys.exit(BAD_INPUT if isinstance(exc, ValueError) else FAILED)
    sys.exit(code or 0)


def _as_interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the interface of signal
    raise KeyboardInterrupt
