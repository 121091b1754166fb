"""A policy that is tried on a product's past decisions: refused in one sentence where it is made for another product."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from serving.cli.faults import BadInputError

if TYPE_CHECKING:
    from features.core.product import Product
    from serving.decision.policy import Policy

_FEW = 3  # faults that are read one by one


def other_policy(file: Path, product: Product, *, product_folder: Path) -> Policy:
    """The policy in the file, for decisions about this product.

    Raises
    ------
    BadInputError
        If much of it does not fit the product; `stillhere policy check` lists all of it.
    DeclarationError
        If little of it is wrong; each fault is named.
    """
    from features.declarations.yaml_file import DeclarationError, read_yaml
    from serving.policy_file import load_policy

    try:
        return load_policy(file, product)
    except DeclarationError as exc:
        if len(exc.faults) <= _FEW:
            raise
        first = exc.faults[0]
        wrong = f"{len(exc.faults)} things in it do not fit product {product.name} (the first: {first.path}: found {first.found})"
        name = read_yaml(file).get("name")
        if name == product.name:
            raise BadInputError(f"{file}: {wrong}; list them: stillhere policy check {file} --product {product_folder}") from exc
        own = file.parent if (file.parent / "product.yaml").is_file() else "and the folder of its own product"
        raise BadInputError(
            f"{file}: got the policy {name!r}, and {wrong}, expected a policy made for {product.name}; give one, or add --product {own}"
        ) from exc
