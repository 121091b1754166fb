"""`stillhere` in this process, as its entry point is called."""

from __future__ import annotations

import pytest

from serving.cli import main


def run_command(captured, *arguments):
    """Run one command under ``capfdbinary``; answers exit code, stdout as bytes and stderr as text."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = captured.readouterr()
    return ended.value.code, out, err.decode()
