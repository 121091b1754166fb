"""``train``: the same training as ``mlflow run . -e train``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from serving.cli.options import HERE, Place


def train(
    *,
    seed: Annotated[int, Parameter(help="The same seed on the same log gives the same model.")] = 0,
    stale_after_days: Annotated[int, Parameter(help="A log that ends longer ago is refused; 0: any age will do.")] = 30,
    place: Place = HERE,
) -> None:
    """Train a risk model on everything imported, record it in MLflow, and make it champion if it is the first or better.

    The same as `mlflow run . -e train -P product=products/onboarding --env-manager=local --experiment-name stillhere-onboarding`. A model
    that is not shown to be better than the champion waits as challenger; `python -m training promote` decides. A running service takes a
    new champion within seconds.

    Example: `stillhere train --product products/onboarding`
    """
    from features.declarations.product_file import load_product
    from serving.policy_file import load_policy

    settings = place.existing()
    product, policy = load_product(settings.product_folder), settings.product_folder / "policy.yaml"
    if policy.is_file():  # training notes its hash, and can do without
        load_policy(policy, product)

    from training.commands.interruption import stopping_in_order
    from training.commands.options import Log
    from training.commands.train import train as run_training

    log = Log(product=settings.product_folder, home=settings.home.root, seed=seed, stale_after_days=stale_after_days)
    with stopping_in_order():
        run_training(log=log)
