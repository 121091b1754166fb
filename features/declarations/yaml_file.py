"""From a YAML file to a validated model, with every fault named at once.

The YAML read here is the plain part of 1.2: ``21:00``, ``2024-01-01``, ``yes`` and ``off`` are text (1.1 makes a number, a date and
booleans of them), and a key that stands twice is a fault (1.1 keeps the last one silently).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from features.declarations.faults import DeclarationError, Fault, place
from features.declarations.schema_faults import schema_faults

__all__ = ["DeclarationError", "Declared", "Fault", "load_validated", "read_yaml"]

Model = TypeVar("Model", bound=BaseModel)


class Declared(BaseModel):
    """A mapping in a declaration: no unknown keys, no conversions, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


_PLAIN_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", list("-+.0123456789")),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Tell PyYAML what it wants to know: first character -> the scalar types it may begin."""
    resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, first_characters in _PLAIN_SCALARS:
        for character in first_characters:
            resolvers.setdefault(character, []).append((f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z")))
    return resolvers


class _PlainLoader(yaml.SafeLoader):
    yaml_implicit_resolvers = _resolvers()


def load_validated(file: Path, model: type[Model]) -> Model:
    """Read the file's content as ``model``.

    Raises
    ------
    DeclarationError
        If the file cannot be read, is no YAML, has a key twice, or does not validate; all faults of the first of these steps that fails.
    """
    content = read_yaml(file)
    try:
        return model.model_validate(content)
    except ValidationError as exc:
        raise DeclarationError(file, schema_faults(exc, model)) from exc


def read_yaml(file: Path) -> Any:
    """Read the file's content as plain Python values.

    Raises
    ------
    DeclarationError
        If the file cannot be read, is no YAML, or has a key twice.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise DeclarationError(file, [Fault(path="", found=str(exc), expected="a readable UTF-8 file", advice="check the path")]) from exc
    loader = _PlainLoader(text)
    try:
        node = loader.get_single_node()
        if repeated := list(_repeated_keys(node, (), set())):
            raise DeclarationError(file, repeated)
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as exc:
        raise DeclarationError(file, [_syntax_fault(exc)]) from exc
    finally:
        loader.dispose()


def _syntax_fault(error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    problem = getattr(error, "problem", None) or str(error)
    return Fault(path=where, found=problem, expected="valid YAML", advice="check indentation, colons and quotes there")


def _repeated_keys(node: Any, path: tuple[str | int, ...], seen: set[int]) -> Iterator[Fault]:
    if id(node) in seen:  # an alias: reported where its anchor stands
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, (*path, index), seen)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                found = f"{name} on line {lines[name]} and again on line {line}"
                yield Fault(path=place(*path, name), found=found, expected="each key once", advice="remove or rename one of them")
            lines[name] = line
            yield from _repeated_keys(value, (*path, name), seen)
