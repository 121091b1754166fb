"""A product that is not there: every command says so in one sentence, makes nothing and ends with 2."""

from __future__ import annotations

import pytest

from training.commands.app import run

COMMANDS = ("backtest", "drift", "evaluate", "monitor", "promote", "signals", "simulate", "thresholds", "timing", "train", "trial", "tune")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_product_that_is_not_there_is_bad_input_and_nothing_is_made(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run([command, "--product", "products/mistyped"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"stopped: products/mistyped: found no such folder in {tmp_path}, expected a product folder")
    assert "name it with --product" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
