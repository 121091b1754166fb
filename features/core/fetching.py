"""Asking for memory before it is needed, for compiled code: for what lies where the machine cannot foresee it."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["fetch"]

_READ, _ALL_CACHES, _DATA = 0, 3, 1


@intrinsic  # type: ignore[untyped-decorator]
def fetch(_typing: Any, matrix: Any, row: Any) -> Any:  # noqa: ARG001 - types, which numba passes by name
    """Begin to bring the cache line of ``matrix[row, 0]`` (int64; the index unsigned), without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type = signature.args[0]
        array = context.make_array(array_type)(context, builder, arguments[0])
        column = context.get_constant(types.uint64, 0)
        address = cgutils.get_item_pointer(context, builder, array_type, array, [arguments[1], column])
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [builder.bitcast(address, pointer), number(_READ), number(_ALL_CACHES), number(_DATA)])
        return context.get_dummy_value()

    return types.void(matrix, types.uint64), generate
