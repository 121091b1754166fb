"""Which errors a command may end with, in plain words; anything else is a mistake of ours and shows its trace."""

from __future__ import annotations

import sys

from serving.settings import SettingsError


class BadInputError(ValueError):
    """An argument that cannot be used; the message says what to give instead."""


_WHERE = (
    ("features.declarations.yaml_file", "DeclarationError"),
    ("features.draft.columns", "DraftError"),
    ("features.ports", "StoreError"),
    ("features.ingest.rows", "LogFileError"),
    ("models.errors", "ModelError"),
    ("features.backfill.streamed", "SpineError"),
    ("training.errors", "TrainingError"),
    ("training.simulate", "SimulationError"),
    ("serving.ports", "LedgerError"),
    ("serving.ports", "EventStreamError"),
    ("serving.replay", "ReplayError"),
    ("serving.use_case.recorded", "ReceiptError"),
    ("serving.adapters.model_registry", "RegistryError"),
    ("serving.cli.processes", "ProcessError"),
    ("serving.cli.listening", "AlreadyRunningError"),
)


def expected_failures() -> tuple[type[Exception], ...]:
    """Every error that a command may end with; only modules that were imported can have raised one."""
    loaded = [(sys.modules.get(module), name) for module, name in _WHERE]
    return (BadInputError, SettingsError, *(getattr(module, name) for module, name in loaded if module is not None))


def one_line(error: Exception) -> str:
    """Make the message readable on a terminal, as it stands."""
    return str(error) or type(error).__name__
