"""Who is champion, and who was before: the only module that moves the aliases ``champion``, ``previous`` and ``shadow``.

MLflow sets one alias per call, and that call is the commit. What a rollback needs to know is written on the version *before* it becomes
champion; what is only for people to see (the alias ``previous``, a ``challenger`` that has arrived) is put right *after*, and again by the
next move if that was interrupted. So at every instant whoever resolves ``champion`` finds exactly one version, which was loaded and
verified before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from features.core.product import Product
from training.errors import PromotionRefusedError
from training.registry import (
    CHALLENGER,
    CHAMPION,
    HISTORY,
    PREVIOUS,
    REPLACES,
    SHADOW,
    Version,
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

_KEPT = 500
"""Champions that are remembered: more rollbacks in a row than anybody makes, and far from how long a tag may be."""


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

    def before(present: Version | None) -> list[str]:
        """Whom it replaces, and whom that one did; itself only as champion, not as what it was before."""
        return [] if present is None else [each for each in (present.version, *champions_before(present)) if each != version]

    _move(name, version, expected=replacing, before=before, because=because)


def roll_back(product: Product, *, because: str) -> tuple[str, str]:
    """Make the version champion that the present champion replaced; returns both numbers, from and to. Again: one further back.

    No version that a rollback led away from is come to again by further ones: of a version that was champion twice only the last time
    counts. So they end. With champions 1, 2, 3 and again 1, they lead to 3, to 2, and no further.

    Raises
    ------
    PromotionRefusedError
        If there is nothing further back.
    models.errors.ModelError
        If the earlier version cannot be served: its files are damaged, or the product no longer measures what it needs.
    """
    name = registered_name(product.name)
    champion = version_of(name, CHAMPION)
    if champion is None:
        raise PromotionRefusedError(f"{name} has no champion, expected one to roll back from; train a model first")
    target, *further = champions_before(champion) or [""]
    if not target:
        raise PromotionRefusedError(
            f"champion version {champion.version} of {name} replaced no other that rollbacks have not left since, so there is nothing"
            ' further back, expected an earlier champion; choose one by its number: promote --version <number> --force "<reason>"'
        )
    earlier = require_version(product.name, target)
    fetch_bundle(earlier.uri, product)  # a version that cannot be served must not become champion
    reason = f"rolled back from version {champion.version}: {because}"
    _move(name, target, expected=champion.version, before=lambda _: further, because=reason)
    _tag(name, champion.version, {ROLLED_BACK: because})
    return champion.version, target


def champions_before(champion: Version) -> list[str]:
    """Numbers of the versions that rollbacks from a champion lead to, one after the other; [] if there are none.

    Earlier releases wrote no history: there it is what each version replaced the last time, as far as that is no circle.
    """
    replaced = champion.tags.get(REPLACES, "")
    kept = champion.tags.get(HISTORY, "").split()
    if kept[:1] == [replaced]:  # else the history is of another release, which writes none
        return kept
    found: list[str] = []
    while replaced and replaced not in {champion.version, *found}:
        found.append(replaced)
        earlier = version_of(champion.name, replaced)
        replaced = "" if earlier is None else earlier.tags.get(REPLACES, "")
    return found


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
    replaced = champions_before(champion)[:1]
    if replaced and version_of(name, replaced[0]) is not None:
        client.set_registered_model_alias(name, PREVIOUS, replaced[0])
    elif PREVIOUS in aliases:
        client.delete_registered_model_alias(name, PREVIOUS)
    for alias in (CHALLENGER, SHADOW):
        if aliases.get(alias) == champion.version:
            client.delete_registered_model_alias(name, alias)


def _move(name: str, version: str, *, expected: str | None, before: Callable[[Version | None], Sequence[str]], because: str) -> None:
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
        history = before(present)[:_KEPT]
        _tag(name, version, {REPLACES: history[0] if history else "", HISTORY: " ".join(history), BECAUSE: because})
        client.set_registered_model_alias(name, CHAMPION, version)  # the commit: from here on it is served
        tidy(name)


def _tag(name: str, version: str, tags: Mapping[str, str]) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)


def _named(version: str | None) -> str:
    return "nobody" if version is None else f"version {version}"
