"""What a message carries beside its title and body: content, which is filled in here, and blocks, which its sender fetches."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Content = Mapping[str, str]
"""Texts by name: templates in a message of the policy, filled for one user in a decision."""
Parameter = bool | int | str
Blocks = Mapping[str, Mapping[str, Parameter]]
"""By name what is fetched when the message is sent, and with which parameters; the decision passes them on as they are."""

NO_CONTENT: Content = MappingProxyType({})
NO_BLOCKS: Blocks = MappingProxyType({})


def carried(content: Content, blocks: Blocks) -> dict[str, Any]:
    """Both as answers and orders state them: a key only where there is something, so that other messages keep their bytes.

    Examples
    --------
    >>> carried({"action": "Go on"}, NO_BLOCKS), carried(NO_CONTENT, {"reviews": {"items": 3}}), carried(NO_CONTENT, NO_BLOCKS)
    ({'content': {'action': 'Go on'}}, {'blocks': {'reviews': {'items': 3}}}, {})
    """
    parts: dict[str, Any] = {}
    if content:
        parts["content"] = dict(content)
    if blocks:
        parts["blocks"] = {name: dict(parameters) for name, parameters in blocks.items()}
    return parts
