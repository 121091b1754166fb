"""Rows of the int64 matrices that hold one user's events: one column per event, one row per property."""

from __future__ import annotations

KIND = 0  # text_hash of the kind's name in a Timeline; its index in the catalogue inside the kernel
OCCURRED = 1  # as sent, microseconds
HASH = 2
KNOWN = 3
SKEW = 4
SUBJECT = 5  # text_hash or 0 in a Timeline; a code 1, 2, ... or 0 inside the kernel
VALUE = 6
SESSION = 7  # like SUBJECT
N_ROWS = 8

EFFECTIVE = OCCURRED
"""Inside the kernel, once ordered, the row of the sent time holds the effective one: ``occurred - skew``."""
DAY = SKEW
"""And the row of the skew, then used up, holds the effective time's UTC day number."""

LET_GO_KIND, LET_GO_OCCURRED, LET_GO_HASH = range(3)
N_LET_GO_ROWS = 3
