"""From nothing to a champion: simulate, import, train."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from serving.cli.steps import Share, Steps

if TYPE_CHECKING:
    from serving.bootstrap import Installation


_DAYS = 63  # enough for four slices with a horizon between each two


def build(opened: Installation, *, n_users: int, seed: int, steps: Steps) -> None:
    """Simulate a product's users, import their log, train and register a model, and fetch it for serving."""
    from serving.adapters.model_registry import fetch_champion
    from serving.cli.import_command import chosen_files, import_one, summary

    home, product = opened.settings.home, opened.product
    with steps.step(f"simulating {n_users:,} users") as share:
        _simulate(opened, n_users=n_users, seed=seed, share=share)
    for file, declaration in chosen_files(home.incoming_dir(product.name), product, None):
        report = import_one(file, declaration, product, opened.import_target(), steps=steps)
        steps.console.print(f"    [dim]{summary(report)}[/]", soft_wrap=True)
    _train(opened, seed=seed, steps=steps)
    with steps.step("fetching the champion"):
        fetch_champion(product.name, home.bundles_dir(product.name))


def _simulate(opened: Installation, *, n_users: int, seed: int, share: Share) -> None:
    from datetime import UTC, datetime

    from training.simulate import simulate

    folder = opened.settings.home.incoming_dir(opened.product.name)
    simulate(opened.product, folder, n_users=n_users, seed=seed, end=datetime.now(UTC), days=_DAYS, progress=share)


def _train(opened: Installation, *, seed: int, steps: Steps) -> None:
    from training.gate import Gate
    from training.run import Options, train_product

    stages = _Stages(steps)
    settings = opened.settings
    options = Options(gate=Gate(explanation_budget_ms=0.0))  # a slow machine is no reason for a demo without a champion
    outcome = train_product(
        opened.product, settings.home, product_dir=settings.product_folder, seed=seed, options=options, report=stages.report
    )
    figures = outcome.trained.review.evaluations["model"].figures
    registration, standing = outcome.registration, outcome.standing
    said = f"{registration.name} version {registration.version} is {standing.alias}: {standing.because}"
    steps.console.print(f"    [dim]{said}; test AUC {figures['auc']}[/]", soft_wrap=True)


class _Stages:
    """Turns the pipeline's reports into lines with seconds."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._started: dict[str, float] = {}

    def report(self, stage: str, share: float) -> None:
        started = self._started.setdefault(stage, time.perf_counter())
        if share >= 1.0 and stage not in {name for name, _ in self._steps.took}:
            self._steps.done(stage, time.perf_counter() - started)
