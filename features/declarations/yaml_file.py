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

from features.declarations.faults import DeclarationError, Fault, place, quote
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


class _NoValueError(yaml.MarkedYAMLError):
    """A scalar that is not of the type that it looks like, or says that it is."""


class _PlainLoader(yaml.SafeLoader):
    yaml_implicit_resolvers = _resolvers()

    def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - the interface of PyYAML
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError) as exc:  # which PyYAML lets through, in words for programmers
            raise _NoValueError(problem=_shown(node), problem_mark=node.start_mark) from exc


def _shown(node: Any) -> str:
    text, type_ = str(node.value), str(node.tag).rpartition(":")[2]
    return f"a number of {len(text):,} digits" if text.lstrip("+-").isdigit() else f"{quote(text)} as {type_}"


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
    except OSError as exc:
        raise DeclarationError(file, [_unreadable(file, exc)]) from exc
    except UnicodeDecodeError as exc:
        found, advice = f"bytes that are not UTF-8 ({exc.reason} at byte {exc.start})", "save it as UTF-8"
        raise DeclarationError(file, [Fault(path="", found=found, expected="a UTF-8 text file", advice=advice)]) from exc
    try:
        return _constructed(_PlainLoader(text), file)
    except DeclarationError:
        raise
    except (yaml.YAMLError, RecursionError) as exc:
        raise DeclarationError(file, [_syntax_fault(exc)]) from exc


def _unreadable(file: Path, error: OSError) -> Fault:
    expected, advice = "a file that can be read", "check the path"
    if not isinstance(error, FileNotFoundError):
        found = "a folder" if isinstance(error, IsADirectoryError) else f"something that cannot be opened ({error.strerror})"
        return Fault(path="", found=found, expected=expected, advice=advice)
    if not file.is_absolute():
        advice += f", which counts from {Path.cwd()}"
    return Fault(path="", found="no such file", expected=expected, advice=advice)


def _constructed(loader: _PlainLoader, file: Path) -> Any:
    try:
        node = loader.get_single_node()
        if faults := list(_key_faults(node, (), set())):
            raise DeclarationError(file, faults)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _syntax_fault(error: Exception) -> Fault:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    problem = (getattr(error, "problem", None) or str(error)).removeprefix("found ")
    if isinstance(error, _NoValueError):
        expected, advice = "a value that can be read", "correct it, or put it in quotes to make it text"
        return Fault(path=where, found=problem, expected=expected, advice=advice)
    return Fault(path=where, found=problem, expected="valid YAML", advice="check indentation, colons and quotes there")


def _no_key(node: Any, path: tuple[str | int, ...]) -> Fault:
    what = "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
    found, advice = f"{what} as a key on line {node.start_mark.line + 1}", "put text that begins with [ or { in quotes"
    return Fault(path=place(*path), found=found, expected="a name as each key", advice=advice)


def _key_faults(node: Any, path: tuple[str | int, ...], seen: set[int]) -> Iterator[Fault]:
    if id(node) in seen:  # an alias: reported where its anchor stands
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _key_faults(item, (*path, index), seen)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                yield _no_key(key, path)
                continue
            if name in lines:
                found = f"{name} on line {lines[name]} and again on line {line}"
                yield Fault(path=place(*path, name), found=found, expected="each key once", advice="remove or rename one of them")
            lines[name] = line
            yield from _key_faults(value, (*path, name), seen)
