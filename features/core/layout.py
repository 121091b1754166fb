"""Places of an event's properties in int64 matrices.

A `Timeline` holds properties as rows, ``(N_PROPERTIES, n)``. On their way into the kernel events are *records*, ``(n,
N_PROPERTIES)``: 64 bytes, one cache line each. The kernel's own matrix of one user has properties as rows again.
"""

from __future__ import annotations

KIND = 0  # text_hash of the kind's name in a Timeline; its index in the catalogue inside the kernel
OCCURRED = 1  # as sent, microseconds
HASH = 2
KNOWN = 3
SKEW = 4
SUBJECT = 5  # text_hash or 0 in a Timeline; a small code, 0 for 0, inside the kernel
VALUE = 6
SESSION = 7  # like SUBJECT
N_PROPERTIES = 8

KIND_BITS = 16
KIND_MASK = (1 << KIND_BITS) - 1
"""In a record of a whole log KIND is ``user << KIND_BITS | kind``."""

EFFECTIVE = OCCURRED
"""In the kernel's matrix of one user the place of the sent time holds the effective one: ``occurred - skew``."""
DAY = SKEW
"""And the place of the skew, then used up, holds the effective time's UTC day number."""
PART = KIND
"""And the place of the kind, where features ask for subjects, holds the part of the kind, see `features.core.parts`."""

LET_GO_KIND, LET_GO_OCCURRED, LET_GO_HASH = range(3)
N_LET_GO = 3
