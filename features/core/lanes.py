"""Many comparisons with one instruction, for compiled code: counting in short stretches.

The compiler does so by itself only for the bulk of a long loop and takes what is left over one by one; most stretches here are all
left over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from features.core.columns import Places
from features.core.compiled import borrowing

__all__ = ["LANES", "count_at_most"]

LANES = 16
"""How many numbers are compared at once. An array may be read so far beyond the end of the stretch that is counted."""


@borrowing
def count_at_most(numbers: Places, start: int, end: int, most: int) -> int:
    """How many of ``numbers[start:end]`` are at most ``most``; the array must reach `LANES` further than ``end``."""
    n = np.int64(0)
    for at in range(start, end, LANES):
        n += _count_first(numbers, np.uint64(at), np.int64(end) - np.int64(at), np.uint32(most))
    return n  # type: ignore[return-value]


@intrinsic  # type: ignore[untyped-decorator]
def _count_first(_typing: Any, numbers: Any, at: Any, n: Any, most: Any) -> Any:  # noqa: ARG001 - types, which numba passes by name
    """Of the first ``n`` numbers from ``at`` on (of `LANES`, if there are more) how many are at most ``most``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type = signature.args[0]
        array = context.make_array(array_type)(context, builder, arguments[0])
        address = cgutils.get_item_pointer(context, builder, array_type, array, arguments[1:2])
        lanes = ir.VectorType(ir.IntType(32), LANES)
        loaded = builder.load(builder.bitcast(address, lanes.as_pointer()), align=4)
        bound = builder.insert_element(ir.Constant(lanes, ir.Undefined), arguments[3], ir.IntType(32)(0))
        bound = builder.shuffle_vector(bound, ir.Constant(lanes, ir.Undefined), ir.Constant(lanes, [0] * LANES))
        few = builder.bitcast(builder.icmp_unsigned("<=", loaded, bound), ir.IntType(LANES))
        number = ir.IntType(64)
        whole = builder.icmp_signed(">=", arguments[2], number(LANES))
        first = builder.select(whole, number((1 << LANES) - 1), builder.sub(builder.shl(number(1), arguments[2]), number(1)))
        return builder.ctpop(builder.and_(builder.zext(few, number), first))

    return types.int64(types.Array(types.uint32, 1, "C"), types.uint64, types.int64, types.uint32), generate
