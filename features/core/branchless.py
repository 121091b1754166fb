"""Choices without a branch, for compiled code: for what cannot be predicted.

A wrongly predicted branch costs as much as twenty other instructions. Arithmetic on a comparison's answer avoids it, but the compiler
sees through that and puts the branch back, unless it is not told that the number is such an answer.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

__all__ = ["as_number"]


@intrinsic  # type: ignore[untyped-decorator]
def as_number(_typing: Any, condition: Any) -> Any:  # noqa: ARG001 - types, which numba passes by name
    """The bool as 0 or 1 (int64), of which the compiler knows nothing."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        number = ir.IntType(64)
        widened = builder.zext(arguments[0], number)
        return builder.asm(ir.FunctionType(number, [number]), "", "=r,0", [widened], side_effect=False)

    return types.int64(types.boolean), generate
