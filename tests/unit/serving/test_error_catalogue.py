"""The catalogue of errors in docs/api.md is the table that the service uses."""

from __future__ import annotations

import re

from serving.api.errors import STATUS_OF_CODE
from tests.serving_world import ROOT


def test_every_code_is_in_the_catalogue_with_its_status():
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert {code: int(status) for code, status in rows} == {code: int(status) for code, status in STATUS_OF_CODE.items()}
