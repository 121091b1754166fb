from __future__ import annotations

import re
from pathlib import Path

import pytest

from features.core.catalogue import Aggregation
from features.declarations import log_schema, product_schema
from features.declarations.yaml_file import Declared
from serving.policy_file import schema as policy_schema

DOCS = Path(__file__).parents[3] / "docs"


def keys(module) -> set[str]:
    models = [thing for thing in vars(module).values() if isinstance(thing, type) and issubclass(thing, Declared)]
    return {name for model in models for name in model.model_fields}


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ("product-file.md", keys(product_schema) | keys(log_schema) | {aggregation.value for aggregation in Aggregation}),
        ("policy-file.md", keys(policy_schema)),
    ],
)
def test_every_key_is_described(document, names):
    text = (DOCS / document).read_text()
    described = {name for name in names if re.search(rf"[`{{ ]{name}[`}},:]", text)}
    assert names - described == set()
