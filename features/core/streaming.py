"""Stores that bypass the cache, for compiled code: for what is written once and read only after everything else is written.

An ordinary store to memory that is not in the cache first fetches its cache line. Where every line is far from the last one and
is filled whole, that is wasted: a streaming store sends the full line to memory, which made writing records twice as fast.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from features.core.layout import N_PROPERTIES

__all__ = ["CACHE_LINE_BYTES", "finish_streaming", "stream"]

CACHE_LINE_BYTES = 64
"""Of one record: `N_PROPERTIES` int64."""


@intrinsic  # type: ignore[untyped-decorator]
def stream(_typing: Any, matrix: Any, row: Any, record: Any) -> Any:  # noqa: ARG001 - types, which numba passes by name
    """Store the numbers of a record as ``matrix[row]`` (the index unsigned), one store for all where the machine has one so wide.

    The matrix must begin at a cache line. Others see the record after `finish_streaming`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type = signature.args[0]
        array = context.make_array(array_type)(context, builder, arguments[0])
        place = [arguments[1], context.get_constant(types.uint64, 0)]
        address = cgutils.get_item_pointer(context, builder, array_type, array, place)
        line = ir.VectorType(ir.IntType(64), N_PROPERTIES)
        numbers = ir.Constant(line, ir.Undefined)
        for i in range(N_PROPERTIES):
            numbers = builder.insert_element(numbers, builder.extract_value(arguments[2], i), ir.IntType(32)(i))
        store = builder.store(numbers, builder.bitcast(address, line.as_pointer()), align=CACHE_LINE_BYTES)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    numbers_type = types.UniTuple(types.int64, N_PROPERTIES)  # type: ignore[attr-defined]
    return types.void(matrix, types.uint64, numbers_type), generate


@intrinsic  # type: ignore[untyped-decorator]
def finish_streaming(_typing: Any) -> Any:
    """Order all streaming stores of this thread before whatever it does next."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
