"""Of compiling is spoken where it was never done, and nowhere else."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from rich.console import Console

from features.core.first_use import is_compiled, use_once
from features.core.program import compile_program
from serving import bootstrap
from serving.cli.cold_kernel import compile_first, compiled_beside
from serving.cli.steps import Steps
from tests.serving_world import NOON, ROOT


@pytest.fixture
def settings(tmp_path):
    return bootstrap.settings_from_environment(home=tmp_path / "home", product=ROOT / "products" / "onboarding")


@pytest.fixture
def said():
    return Console(file=io.StringIO(), highlight=False, width=200)


def test_once_it_was_used_it_is_compiled(onboarding):
    use_once(compile_program(onboarding.catalogue), NOON)
    assert is_compiled()


def test_nothing_is_said_or_started_where_it_is_compiled(onboarding, settings, said):
    use_once(compile_program(onboarding.catalogue), NOON)
    compile_first(settings, said)
    assert said.file.getvalue() == ""
    assert not (settings.home.root / "logs").exists()


def test_beside_the_demo_nothing_is_said_either(onboarding, settings, said):
    use_once(compile_program(onboarding.catalogue), NOON)
    with compiled_beside(settings, Steps(console=said)):
        pass
    assert "(once, about a minute)" not in said.file.getvalue()


def test_an_empty_cache_and_one_of_other_sources_are_cold(tmp_path):
    script = "from features.core.first_use import is_compiled; print(is_compiled())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
