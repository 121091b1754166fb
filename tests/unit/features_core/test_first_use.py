"""What the first user would have waited for is compiled before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

SCRIPT = """
import importlib, pkgutil
from datetime import timedelta
from pathlib import Path

from numba.core.dispatcher import Dispatcher

import features.core
from features.core.first_use import use_once
from features.declarations.product_file import load_product
from features.core.event import to_us
from tests.certain import certain_policy
from tests.serving_world import NOON, World


def compiled():
    modules = [importlib.import_module(f"features.core.{found.name}") for found in pkgutil.iter_modules(features.core.__path__)]
    dispatchers = {id(each): each for module in modules for each in vars(module).values() if isinstance(each, Dispatcher)}
    return {f"{each.__module__}.{each.__name__}": len(each.signatures) for each in dispatchers.values()}


product = load_product(Path("products/onboarding"))
world = World(product, certain_policy(product))
use_once(world.program, NOON)
before = compiled()
assert before["features.core.timeline_format._summary"] == 1, before
for user_id in ("ada", "bob"):
    world.person(user_id)
    world.happens(user_id, "login", times=3, ago=timedelta(days=1))
world.decide("ada")
world.service.decide_many(["ada", "bob"], now_us=to_us(world.now))
after = compiled()
print({name: count for name, count in after.items() if count != before[name]})
"""


def test_neither_the_first_decision_nor_the_first_step_compiles_anything():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "{}"), done.stderr
