"""Arithmetic on grown trees: the mean of several boosters as one booster, and another intercept.

Both work on LightGBM's text format, where a tree is a block of lines and a score is the sum of one leaf's value from each tree. What
serves the model and explains it need not know that it is a mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from training.errors import TrainingError

_TREE = re.compile(r"^Tree=\d+\n", re.MULTILINE)
_VALUES = ("leaf_value", "internal_value", "shrinkage")
_BEGIN, _END = "Tree=0\n", "end of trees"


def average(texts: Sequence[str]) -> str:
    """One model whose raw scores and TreeSHAP values are the mean of those of the given models, up to rounding.

    The trees of all stand in one, every leaf divided by the number of models: a score is linear in its leaves, and so is TreeSHAP.

    Parameters
    ----------
    texts
        Models in LightGBM's text format, of the same inputs.

    Raises
    ------
    TrainingError
        Without any model.

    References
    ----------
    Lundberg et al. (2020), From local explanations to global understanding with explainable AI for trees,
    doi:10.1038/s42256-019-0138-9: SHAP values of a sum of trees are the sum of their SHAP values.
    """
    if not texts:
        raise TrainingError("got no model to average, expected at least one; grow one first")
    if len(texts) == 1:
        return texts[0]
    trees = [_scaled(tree, 1.0 / len(texts)) for text in texts for tree in _trees(text)]
    return _with_trees(texts[0], trees)


def with_intercept(text: str, shift: float) -> str:
    """The model with every raw score, and the base value of its explanations, ``shift`` log-odds higher: the first tree's leaves are."""
    if shift == 0.0:
        return text
    first, *others = _trees(text)
    return _with_trees(text, [_mapped(first, ("leaf_value", "internal_value"), lambda value: value + shift), *others])


def count(text: str) -> int:
    """Trees in the model."""
    return len(_TREE.findall(text))


def _trees(text: str) -> list[str]:
    """Every tree's lines, without its number."""
    return [block.strip("\n") for block in _TREE.split(text[: text.index(_END)])[1:]]


def _scaled(tree: str, factor: float) -> str:
    return _mapped(tree, _VALUES, lambda value: value * factor)


def _mapped(tree: str, names: Sequence[str], change: Callable[[float], float]) -> str:
    lines = []
    for line in tree.split("\n"):
        name, _, values = line.partition("=")
        lines.append(f"{name}={' '.join(repr(change(float(value))) for value in values.split())}" if name in names else line)
    return "\n".join(lines)


def _with_trees(text: str, trees: Sequence[str]) -> str:
    """The text with other trees; LightGBM reads as many bytes for each as ``tree_sizes`` says."""
    blocks = [f"Tree={i}\n{tree}\n\n\n" for i, tree in enumerate(trees)]
    begin, end = text.index(_BEGIN), text.index(_END)
    head = re.sub(r"^tree_sizes=.*$", "tree_sizes=" + " ".join(str(len(block)) for block in blocks), text[:begin], flags=re.MULTILINE)
    return head + "".join(blocks) + text[end:]
