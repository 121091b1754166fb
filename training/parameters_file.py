"""Parameters of a fit as a small JSON file: what `tune` writes and `train` accepts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

from training.errors import BadInputError
from training.fit import FitParameters

_ABOUT = "about"


def write_parameters(path: Path, parameters: FitParameters, *, about: Mapping[str, Any] | None = None) -> None:
    """Write every parameter, and how they were found, which reading ignores."""
    content = asdict(parameters) | ({} if about is None else {_ABOUT: dict(about)})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_parameters(path: Path) -> FitParameters:
    """Read what `write_parameters` wrote, or somebody by hand; a parameter that is left out has its default.

    Raises
    ------
    BadInputError
        Naming the file and the key that is unknown, of another type or out of its range.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise BadInputError(f"parameters {path}: {exc}; expected a JSON file as `tune` writes it") from exc
    if not isinstance(content, dict):
        raise BadInputError(f"parameters {path}: got a {type(content).__name__}, expected an object of names and numbers")
    checked = {name: _checked(name, value, path) for name, value in content.items() if name != _ABOUT}
    try:
        return FitParameters(**checked)
    except BadInputError as exc:
        raise BadInputError(f"parameters {path}: {exc}") from exc


def _checked(name: str, value: object, path: Path) -> Any:
    hints = get_type_hints(FitParameters)
    if name not in hints:
        raise BadInputError(
            f"parameters {path}: {name!r} is no parameter, expected some of {[each.name for each in fields(FitParameters)]}"
        )
    whole = hints[name] is int
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if value is None and _may_be_none(name):
        return None
    if not right:
        raise BadInputError(f"parameters {path}: {name} is {value!r}, expected {'a whole number' if whole else 'a number'}")
    return value


def _may_be_none(name: str) -> bool:
    declared = next(each for each in fields(FitParameters) if each.name == name)
    return declared.default is not MISSING and type(None) in getattr(get_type_hints(FitParameters)[name], "__args__", ())
