"""What docs/training.md shows for a notebook runs as it stands."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from features.home import Home
from tests.model.place import Fresh
from training.calibrate import log_losses
from training.evaluate import auc
from training.registry import champion_of, registered_name

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "training.md"


def test_the_blocks_for_a_notebook_run_one_after_the_other(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh.register("worse", champion_after=None)
    section = DOCUMENT.read_text().split("## From a notebook")[1].split("## The bundle")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 4
    cells: dict[str, Any] = {}
    loaded = 'product, home = load_product(Path("products/onboarding")), Home(Path(".stillhere"))'
    assert loaded in blocks[0]
    cells |= {"product": fresh.product, "home": fresh.home}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow's of its own type hints
        for block in blocks:
            exec(compile(block.replace(loaded, ""), str(DOCUMENT), "exec"), cells)
    assert cells["outcome"].standing.alias == "champion"
    assert registered_name(fresh.product.name) == fresh.name
    assert isinstance(cells["home"], Home)
    champion, test = champion_of(fresh.product), cells["trained"].slices.test
    assert champion is not None
    assert champion.bundle is not None
    assert any(attribute.name in test.rows for attribute in fresh.product.model_attributes)
    risk = champion.bundle.risk(test.vectors, test.profiles())
    assert cells["evaluated"].metrics["log_loss"] == pytest.approx(log_losses(risk, test.outcomes).mean(), abs=1e-9)
    assert cells["evaluated"].metrics["auc"] == pytest.approx(auc(risk, test.outcomes), abs=1e-9)
