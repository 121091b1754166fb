"""What a message carries beside title and body, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def carried_lines(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    r"""A label and its words: for the content, one text a line, and for what its sender is to fetch; nothing where there is none.

    Examples
    --------
    >>> message = {"content": {"action": "Go on", "image_url": ""}, "blocks": {"items_left": {"images": True, "items": 5}, "reviews": {}}}
    >>> list(carried_lines(message))
    [('content', 'action: Go on\nimage_url: none for this user'), ('to fetch', 'items_left (images yes, items 5)\nreviews')]
    >>> list(carried_lines({}))
    []
    """
    if content := message.get("content"):
        yield "content", "\n".join(f"{name}: {_text(text)}" for name, text in content.items())
    if blocks := message.get("blocks"):
        yield "to fetch", "\n".join(_block(name, parameters) for name, parameters in blocks.items())


def _text(text: str) -> str:
    """Further lines of a text are set in, so that none looks like the next text."""
    return text.strip().replace("\n", "\n  ") or "none for this user"


def _block(name: str, parameters: dict[str, Any]) -> str:
    words = ", ".join(f"{key} {_plain(value)}" for key, value in parameters.items())
    return f"{name} ({words})" if words else name


def _plain(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
