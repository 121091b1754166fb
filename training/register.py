"""Register a logged model as a version: all or nothing, whatever interrupts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from training.errors import RegistryError
from training.leftovers import finish
from training.process_mark import PROCESS, mark
from training.registry import CHALLENGER, CHAMPION, UNFINISHED, describe_aliases, registered_name, registry_errors

_NOT_FINISHED = (
    "**Not finished.** The training that registers this version has not given it a place yet; if it was killed, the next training of the"
    " product takes the version away. Do not promote it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A model version in the registry."""

    name: str  # "stillhere-onboarding"
    version: str  # "3"


@contextmanager
def registered(product: str, model_uri: str, *, run_id: str, tags: Mapping[str, str], note: str = "") -> Iterator[Registration]:
    """Register the model for the block, which gives it an alias; if the block raises, also by Ctrl-C, the version is taken back.

    What is taken back takes its aliases with it; the alias ``challenger`` goes back to the version that had it. A version that became
    champion before the block raised stays: the champion is never taken away.

    Until the block has ended the version says that it is not finished, and claims nothing. A process that is killed meanwhile leaves it so,
    and the next run of the product tidies: `training.leftovers`.

    Parameters
    ----------
    note
        Markdown, shown on the version's page once it has its place. It must stay true whatever becomes of the version.
    """
    import mlflow

    client = mlflow.MlflowClient()
    name = registered_name(product)
    version: str | None = None
    is_new, earlier = False, None
    unfinished = {**tags, UNFINISHED: mark()[PROCESS]}
    try:
        with registry_errors(f"registering {name}"):
            is_new = _ensure_model(client, name, product)
            earlier = describe_aliases(name).get(CHALLENGER)
            created = client.create_model_version(name, source=model_uri, run_id=run_id, tags=unfinished, description=_NOT_FINISHED)
            version = str(created.version)
        yield Registration(name=name, version=version)
        with registry_errors(f"describing version {version} of {name}"):
            finish(client, name, version, note)
    except BaseException:  # also Ctrl-C: half a registration must not stay
        _take_back(client, name, version=version, note=note, is_new=is_new, challenger=earlier)
        raise


def set_challenger(registration: Registration) -> None:
    """Point the alias ``challenger`` at the version: one call."""
    import mlflow

    with registry_errors(f"making version {registration.version} of {registration.name} challenger"):
        mlflow.MlflowClient().set_registered_model_alias(registration.name, CHALLENGER, registration.version)


def _ensure_model(client: Any, name: str, product: str) -> bool:
    """Make the registered model; False if it was there."""
    from mlflow.exceptions import MlflowException

    aliases = "**champion** is served; **challenger** was trained since and waits for `promote`; **shadow** scores without deciding; "
    description = f"Risk of dropout, product {product}. Aliases: {aliases}**previous** is where `promote --rollback` leads."
    try:
        client.create_registered_model(name, description=description)
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return False
    return True


def _take_back(client: Any, name: str, *, version: str | None, note: str, is_new: bool, challenger: str | None) -> None:
    with suppress(RegistryError), registry_errors("taking back"):  # what the registry cannot undo now has no alias, and is never served
        if version is not None:
            aliases = describe_aliases(name)
            if aliases.get(CHAMPION) == version:
                finish(client, name, version, note)
                return
            client.delete_model_version(name, version)
            if challenger is not None and aliases.get(CHALLENGER) == version:
                client.set_registered_model_alias(name, CHALLENGER, challenger)
        if is_new:
            client.delete_registered_model(name)
