"""``product.yaml`` of a product folder, as a `Product`."""

from __future__ import annotations

from pathlib import Path

from features.core.product import Product
from features.declarations import product_parts
from features.declarations.log_checks import log_faults
from features.declarations.log_parts import log_declaration
from features.declarations.product_checks import product_faults
from features.declarations.product_schema import ProductSchema
from features.declarations.yaml_file import DeclarationError, Fault, load_validated

PRODUCT_FILE = "product.yaml"


def load_product(folder: Path) -> Product:
    """Load the product that the folder declares, checked through.

    Raises
    ------
    DeclarationError
        If the folder or its ``product.yaml`` is missing or wrong; each fault names file, path inside it, what was found, what is
        expected, what to do.

    Examples
    --------
    >>> from pathlib import Path
    >>> product = load_product(Path("products/onboarding"))
    >>> product.catalogue.kinds[0].name
    'signup'
    """
    _require_folder(folder)
    file = folder / PRODUCT_FILE
    schema = load_validated(file, ProductSchema)
    if faults := [*product_faults(schema), *log_faults(schema)]:
        raise DeclarationError(file, faults)
    return Product(
        name=schema.name,
        description=schema.description,
        catalogue=product_parts.catalogue(schema),
        causes=product_parts.causes(schema),
        label=product_parts.label(schema),
        profile=product_parts.profile(schema),
        segments=product_parts.segments(schema),
        segmentations=product_parts.segmentations(schema),
        collection=product_parts.collection(schema),
        logs=tuple(log_declaration(body, name) for name, body in schema.logs.items()),
    )


def _require_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    found = "a file" if folder.exists() else "no such folder" + ("" if folder.is_absolute() else f" in {Path.cwd()}")
    advice = "name it with --product or STILLHERE_PRODUCT, or draft one from an event log with `stillhere init FILE`"
    expected = "a product folder, which holds product.yaml and policy.yaml"
    raise DeclarationError(folder, [Fault(path="", found=found, expected=expected, advice=advice)])
