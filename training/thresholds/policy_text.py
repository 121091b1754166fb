"""The solved thresholds as text of policy.yaml: nothing else in it changes. `training.thresholds.policy_write` puts it into the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from training.thresholds.errors import PolicyTextError

WHOLE, BY_SEGMENT = "risk_threshold", "segment_thresholds"


def snippet(risk_threshold: float, segment_thresholds: Mapping[str, float]) -> str:
    """The two keys as they stand in policy.yaml.

    Examples
    --------
    >>> print(snippet(0.6, {"free": 0.7}), end="")
    risk_threshold: 0.6
    segment_thresholds:
      free: 0.7
    """
    lines = [f"{WHOLE}: {_number(risk_threshold)}"]
    if segment_thresholds:
        lines += [f"{BY_SEGMENT}:", *_entries(segment_thresholds, "  ")]
    return "\n".join(lines) + "\n"


def replaced(text: str, risk_threshold: float, segment_thresholds: Mapping[str, float]) -> str:
    r"""The file's text with exactly these two keys changed; comments, order and spacing stay.

    Raises
    ------
    PolicyTextError
        If the text has no ``risk_threshold``, or the keys are written in a way that cannot be edited safely.

    Examples
    --------
    >>> print(replaced("risk_threshold: 0.60 # why\nsegment_thresholds:\n  free: 0.70 # so\ncaps: {}\n", 0.5, {"free": 0.65}), end="")
    risk_threshold: 0.5 # why
    segment_thresholds:
      free: 0.65 # so
    caps: {}
    """
    nodes = _top_level(text)
    edits = [_scalar_edit(nodes[WHOLE], _number(risk_threshold), WHOLE)]
    if BY_SEGMENT in nodes:
        edits += _mapping_edits(text, nodes[BY_SEGMENT], segment_thresholds)
    elif segment_thresholds:
        end = _line_end(text, nodes[WHOLE].end_mark.index)
        gap = "" if text[:end].endswith("\n") else "\n"
        edits.append((end, end, gap + "\n".join([f"{BY_SEGMENT}:", *_entries(segment_thresholds, "  ")]) + "\n"))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _entries(thresholds: Mapping[str, float], indent: str) -> list[str]:
    return [f"{indent}{name}: {_number(value)}" for name, value in thresholds.items()]


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").ljust(3, "0")


def _top_level(text: str) -> dict[str, Any]:
    if any(getattr(event, "anchor", None) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
        raise PolicyTextError("the policy's text uses anchors (&name, *name), expected none; put the printed lines into it by hand")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise PolicyTextError("the policy's text is not a mapping with one key a line, expected one; put the printed lines into it by hand")
    nodes = {str(key.value): value for key, value in root.value}
    if WHOLE not in nodes:
        raise PolicyTextError(f"the policy's text has no {WHOLE}, expected one; add the printed lines by hand")
    return nodes


def _scalar_edit(node: Any, new: str, name: str) -> tuple[int, int, str]:
    if not isinstance(node, yaml.ScalarNode):
        raise PolicyTextError(f"{name} is not a plain number in the policy's text, expected one; put the printed lines into it by hand")
    return node.start_mark.index, node.end_mark.index, new


def _mapping_edits(text: str, node: Any, wanted: Mapping[str, float]) -> list[tuple[int, int, str]]:
    """Edits of ``segment_thresholds``: numbers in their place, lines of segments that are gone removed, new ones after the last."""
    if not isinstance(node, yaml.MappingNode):
        raise PolicyTextError(f"{BY_SEGMENT} is not a mapping in the policy's text, expected one; put the printed lines into it by hand")
    if node.flow_style:
        inside = ", ".join(entry.strip() for entry in _entries(wanted, ""))
        return [(node.start_mark.index, node.end_mark.index, "{" + inside + "}")]
    edits, last = [], node
    for key, value in node.value:
        last = value
        if key.value in wanted:
            edits.append(_scalar_edit(value, _number(wanted[key.value]), f"{BY_SEGMENT}.{key.value}"))
        else:
            edits.append((_line_start(text, key.start_mark.index), _line_end(text, value.end_mark.index), ""))
    new = {name: value for name, value in wanted.items() if name not in {key.value for key, _ in node.value}}
    if new:
        end = _line_end(text, last.end_mark.index)
        gap = "" if text[:end].endswith("\n") else "\n"
        edits.append((end, end, gap + "\n".join(_entries(new, " " * node.value[0][0].start_mark.column)) + "\n"))
    return edits


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1
