"""Options that every command has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from features.home import Home
from serving.cli.faults import BadInputError
from serving.settings import Settings


@Parameter(name="*")
@dataclass(frozen=True)
class Place:
    """Which installation is meant."""

    product: Annotated[Path | None, Parameter(help="Product folder, with product.yaml and policy.yaml. [default: products/onboarding]")] = (
        None
    )
    home: Annotated[Path | None, Parameter(help="State directory: data, models, receipts. [default: .stillhere]")] = None

    def settings(self) -> Settings:
        """Read the settings, with these options in place of the environment's."""
        from serving import bootstrap

        return bootstrap.settings_from_environment(product=self.product, home=self.home)

    def existing(self) -> Settings:
        """As `settings`, of a state directory that is there: for commands that read what one holds, and must not make one.

        Raises
        ------
        BadInputError
            If there is none, or the folder is none.
        """
        settings = self.settings()
        require_home(settings.home)
        return settings

    def checked(self) -> Settings:
        """As `settings`, over a product folder that can be used: said here and in words, before anything is started over it.

        Raises
        ------
        DeclarationError
            If the folder, product.yaml or policy.yaml is missing or wrong.
        """
        from features.declarations.product_file import load_product
        from serving.policy_file import load_policy

        settings = self.settings()
        load_policy(settings.product_folder / "policy.yaml", load_product(settings.product_folder))
        return settings


HERE = Place()


def require_home(home: Home) -> None:
    """Refuse a folder in which nothing was ever kept: mistyped, it would be filled beside the one that is meant.

    Raises
    ------
    BadInputError
        Saying what was looked for, what is there, and how to make one.
    """
    if home.is_there:
        return
    where = "" if home.root.is_absolute() else f" in {Path.cwd()}"
    raise BadInputError(
        f"{home.root}{where} is no state directory of ours: expected a folder that `stillhere import`, `serve` or `demo` made, "
        f"found {_found(home.root)}; name yours with --home or STILLHERE_HOME, or make one: `stillhere demo` to try it, "
        "or `stillhere init` and `stillhere import` for your own log"
    )


def _found(root: Path) -> str:
    """Say what is at a path that is no home."""
    if not root.is_dir():
        return "a file" if root.exists() else "nothing of that name"
    names = sorted(path.name for path in root.iterdir())
    rest = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"a folder with {', '.join(names[:_MOST_NAMES])}{rest}" if names else "an empty folder"


_MOST_NAMES = 4

Port = Annotated[int, Parameter(help="Port of the HTTP interface.", validator=Number(gte=1, lte=65_535))]
