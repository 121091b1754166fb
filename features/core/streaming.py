"""Stores that bypass the cache, for compiled code: for what is written once and read only after everything else is written.

An ordinary store to memory that is not in the cache first fetches its cache line. Where every line is far from the last one and
is filled whole, that is wasted: a streaming store sends the full line to memory, which made writing records twice as fast.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["finish_streaming", "stream"]


@intrinsic  # type: ignore[untyped-decorator]
def stream(_typing: Any, matrix: Any, row: Any, column: Any, number: Any) -> Any:  # noqa: ARG001 - types, which numba passes by name
    """Store ``number`` at ``matrix[row, column]`` (int64; both indices unsigned); others see it after `finish_streaming`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type = signature.args[0]
        array = context.make_array(array_type)(context, builder, arguments[0])
        address = cgutils.get_item_pointer(context, builder, array_type, array, arguments[1:3])
        store = builder.store(arguments[3], address, align=8)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.void(matrix, types.uint64, types.uint64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def finish_streaming(_typing: Any) -> Any:
    """Order all streaming stores of this thread before whatever it does next."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
