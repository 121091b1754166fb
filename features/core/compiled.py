"""One way to compile a function: numba, without the GIL, without fast-math, with a cache that notices every change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(function: _Function) -> _Function:
    """Compile on first call, for use from Python; the machine code is cached on disk.

    No ``parallel=True`` anywhere: numba's threading layers may not be entered from several threads at once, and a service
    has several. Callers that want more cores run a compiled function over ranges in threads, which works since the GIL is
    released.
    """
    dispatcher = numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    # Numba's cache looks only at the file of the function itself and would go on using machine code made from an older
    # version of a function that it calls in another file.
    dispatcher._cache._cache_file._source_stamp = sources_digest()  # noqa: SLF001 - no public way; a test holds it
    return dispatcher  # type: ignore[no-any-return]


def is_on_disk(function: Callable[..., object]) -> bool:
    """Whether the cache has machine code of a `compiled` function: made from the present sources, for such a processor."""
    cached = function._cache._cache_file._load_index()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way; a test holds it
    here = function.targetctx.codegen().magic_tuple()  # type: ignore[attr-defined]
    return any(target == here for _, target, *_ in cached)


def inlined(function: _Function) -> _Function:
    """Compile into its callers: for small functions on the hot path."""
    return numba.njit(nogil=True, error_model="numpy", forceinline=True)(function)  # type: ignore[no-any-return]


def borrowing(function: _Function) -> _Function:
    """Compile into its callers, without reference counting: for the hot path.

    Counting the references of every array in every tuple passed around took a tenth of a row's time. A borrowing function
    must not allocate (numba refuses to compile it) and may return arrays only to other borrowing functions: a counting
    caller would give back what it never took, and the memory with it.
    """
    return numba.njit(nogil=True, error_model="numpy", forceinline=True, _nrt=False)(function)  # type: ignore[no-any-return]


def shared(function: _Function) -> _Function:
    """As `borrowing`, but called instead of inlined, for larger functions with several callers: they compile much faster."""
    return numba.njit(nogil=True, error_model="numpy", _nrt=False)(function)  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def sources_digest() -> bytes:
    """Digest of every module of the pure core: what compiled code may depend on."""
    digest = hashlib.sha256()
    for source in sorted(files(__package__).iterdir(), key=lambda entry: entry.name):
        if source.name.endswith(".py"):
            digest.update(source.read_bytes())
    return digest.digest()
