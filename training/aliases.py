"""Who is champion, and who was before: the only module that moves the aliases ``champion``, ``previous`` and ``shadow``.

MLflow sets one alias per call, and that call is the commit. What a rollback needs to know is written on the version *before* it becomes
champion; what is only for people to see (the alias ``previous``, a ``challenger`` that has arrived) is put right *after*, and again by the
next move if that was interrupted. So at every instant whoever resolves ``champion`` finds exactly one version, which was loaded and
verified before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from features.core.product import Product
from training.errors import PromotionRefusedError
from training.registry import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    REPLACES,
    SHADOW,
    describe_aliases,
    fetch_bundle,
    registered_name,
    registry_errors,
    require_version,
    version_of,
)
from training.tracking import store_lock

BECAUSE = "stillhere.champion_because"
"""Tag of a version: why it was made champion the last time."""
ROLLED_BACK = "stillhere.rolled_back_because"

NOBODY = "none"


def make_champion(name: str, version: str, *, replacing: str | None, because: str) -> None:
    """Make the version champion, if the champion still is the version that it was compared with.

    Parameters
    ----------
    replacing
        Number of the present champion, as it was when the decision was made; None: there was none.

    Raises
    ------
    PromotionRefusedError
        If another version became champion meanwhile.
    """
    _move(name, version, expected=replacing, tags={REPLACES: replacing or "", BECAUSE: because})


def roll_back(product: Product, *, because: str) -> tuple[str, str]:
    """Make the version champion that the present champion replaced; returns both numbers, from and to. Again: one further back.

    Raises
    ------
    PromotionRefusedError
        If there is nothing to go back to.
    models.errors.ModelError
        If the earlier version cannot be served: its files are damaged, or the product no longer measures what it needs.
    """
    name = registered_name(product.name)
    champion = version_of(name, CHAMPION)
    if champion is None:
        raise PromotionRefusedError(f"{name} has no champion, expected one to roll back from; train a model first")
    target = champion.tags.get(REPLACES, "")
    if not target:
        raise PromotionRefusedError(f"champion version {champion.version} of {name} replaced no other, so there is nothing to go back to")
    earlier = require_version(product.name, target)
    fetch_bundle(earlier.uri, product)  # a version that cannot be served must not become champion
    _move(name, target, expected=champion.version, tags={BECAUSE: f"rolled back from version {champion.version}: {because}"})
    _tag(name, champion.version, {ROLLED_BACK: because})
    return champion.version, target


def set_shadow(product: Product, reference: str) -> str | None:
    """Point the alias ``shadow`` at a version that fits the present product; returns its number.

    Parameters
    ----------
    reference
        Number or alias; ``none`` removes the shadow.
    """
    import mlflow

    client, name = mlflow.MlflowClient(), registered_name(product.name)
    if reference == NOBODY:
        with registry_errors(f"removing the shadow of {name}"):
            client.delete_registered_model_alias(name, SHADOW)
        return None
    version = require_version(product.name, reference)
    fetch_bundle(version.uri, product)
    with registry_errors(f"making version {version.version} of {name} shadow"):
        client.set_registered_model_alias(name, SHADOW, version.version)
    return version.version


def tidy(name: str) -> None:
    """Put right what follows from who is champion: whom it replaced is ``previous``; it is challenger and shadow no more."""
    import mlflow

    client = mlflow.MlflowClient()
    champion = version_of(name, CHAMPION)
    if champion is None:
        return
    aliases = describe_aliases(name)
    replaced = champion.tags.get(REPLACES, "")
    if replaced and version_of(name, replaced) is not None:
        client.set_registered_model_alias(name, PREVIOUS, replaced)
    elif PREVIOUS in aliases:
        client.delete_registered_model_alias(name, PREVIOUS)
    for alias in (CHALLENGER, SHADOW):
        if aliases.get(alias) == champion.version:
            client.delete_registered_model_alias(name, alias)


def _move(name: str, version: str, *, expected: str | None, tags: Mapping[str, str]) -> None:
    import mlflow

    client: Any = mlflow.MlflowClient()
    with store_lock(str(mlflow.get_registry_uri())), registry_errors(f"making version {version} of {name} champion"):
        present = version_of(name, CHAMPION)
        number = None if present is None else present.version
        if number != expected:
            raise PromotionRefusedError(
                f"{name}: champion is {_named(number)} now, expected {_named(expected)} as when version {version} was compared with it;"
                " somebody else promoted meanwhile: run the command again"
            )
        _tag(name, version, tags)
        client.set_registered_model_alias(name, CHAMPION, version)  # the commit: from here on it is served
        tidy(name)


def _tag(name: str, version: str, tags: Mapping[str, str]) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)


def _named(version: str | None) -> str:
    return "nobody" if version is None else f"version {version}"
