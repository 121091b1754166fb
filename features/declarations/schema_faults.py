"""pydantic's complaints in the words of the person who wrote the file."""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from features.declarations.faults import Fault, one_of, place, quote

_KEY = "[key]"  # pydantic's last step when a mapping's key itself is wrong

_EXPECTED_BY_TYPE = {
    "string_type": "text",
    "string_unicode": "text of whole characters",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "invalid_key": "a key that is text",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "at least {min_length} in the list",
    "greater_than": "a number > {gt}",
    "greater_than_equal": "a number >= {ge}",
    "less_than": "a number < {lt}",
    "less_than_equal": "a number <= {le}",
    "enum": "{expected}",
    "literal_error": "{expected}",
}


def schema_faults(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """Every complaint of one validation of ``model``, in its order."""
    return [_fault(details, model) for details in error.errors(include_url=False)]


def _fault(details: ErrorDetails, model: type[BaseModel]) -> Fault:
    path, owner = _trace(model, details["loc"])
    if details["type"] == "missing":
        return _missing_key(path, str(details["loc"][-1]), owner)
    if details["type"] == "extra_forbidden":
        return _unknown_key(path, str(details["loc"][-1]), owner)
    if details["type"].startswith("union_tag"):
        return _wrong_tag(path, details)
    return _wrong_value(path, details)


def _wrong_value(path: str, details: ErrorDetails) -> Fault:
    context = details.get("ctx", {})
    template = _EXPECTED_BY_TYPE.get(details["type"])
    expected = template.format(**context) if template else context.get("expected", details["msg"])
    if template == "{expected}":
        expected = _unquoted(expected)
    advice = context.get("advice", _quotes_advice(details))
    return Fault(path=path, found=quote(details["input"]), expected=str(expected), advice=str(advice))


def _unquoted(choices: str) -> str:
    """Write choices as they stand in a YAML file, not as in Python."""
    return choices.replace("'", "")


def _missing_key(path: str, key: str, owner: Any) -> Fault:
    described = owner.model_fields[key].description if _is_model(owner) and key in owner.model_fields else None
    return Fault(path=path, found="nothing", expected="this key", advice=f"add it: {described}" if described else "add it")


def _quotes_advice(details: ErrorDetails) -> str:
    unquoted = details["type"] == "string_type" and isinstance(details["input"], bool | int | float)
    return "put it in quotes" if unquoted else ""


def _unknown_key(path: str, key: str, owner: Any) -> Fault:
    known = [field.alias or name for name, field in owner.model_fields.items()] if _is_model(owner) else []
    close = difflib.get_close_matches(key, known, n=1)
    advice = f"did you mean {close[0]}?" if close else "remove it"
    return Fault(path=path, found=f"the unknown key {key}", expected=one_of(known), advice=advice)


def _wrong_tag(path: str, details: ErrorDetails) -> Fault:
    context = details["ctx"]
    tag = str(context["discriminator"]).strip("'")
    found = quote(context["tag"]) if "tag" in context else "nothing"
    expected = f"one of {_unquoted(context['expected_tags'])}" if "expected_tags" in context else "this key"
    return Fault(path=f"{path}.{tag}", found=found, expected=expected)


def _trace(model: type[BaseModel], loc: Sequence[str | int]) -> tuple[str, Any]:
    """Find the path as the author sees it, without pydantic's own steps; and the type of what holds the last step."""
    steps: list[str | int] = []
    annotation: Any = model
    owner: Any = model
    for step in loc:
        annotation = _bare(annotation)
        if step == _KEY:
            continue
        member = _tagged_member(annotation, step)
        if member is not None:
            annotation = member
            continue
        owner = annotation
        steps.append(step)
        annotation = _below(annotation, step)
    return place(*steps), owner


def _below(annotation: Any, step: str | int) -> Any:
    if _is_model(annotation):
        field = annotation.model_fields.get(str(step))
        return field.annotation if field else None
    arguments = get_args(annotation)
    return arguments[-1] if arguments else None


def _bare(annotation: Any) -> Any:
    """Without Annotated and without "or None"."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _bare(members[0]) if len(members) == 1 else annotation
    return annotation


def _tagged_member(annotation: Any, tag: str | int) -> Any:
    """Find the member of a tagged union that ``tag`` names; None when it is not a tagged union."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return None
    for member in get_args(annotation):
        literals = [get_args(field.annotation) for field in member.model_fields.values() if get_origin(field.annotation) is Literal]
        if (tag,) in literals:
            return member
    return None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
