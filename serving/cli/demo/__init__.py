"""``demo`` and ``up``: everything from an event log to a decision with a reason, in one command."""

from serving.cli.demo.commands import demo, up

__all__ = ["demo", "up"]
