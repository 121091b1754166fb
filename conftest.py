"""Before anything is collected: what others warn of while they are imported is neither an error of ours nor news."""

from __future__ import annotations

import warnings

# BentoML's own imports use what is deprecated; later, Feast's import would let the warnings through to the summary.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    import serving.service  # noqa: F401 - BentoML loads its parts as they are used
