"""``python -m serving.cli.compile_kernel``: compile the kernel's online half into its cache, beside other work.

The first run on a machine compiles for half a minute; what one process compiled, the next ones load. The demo starts this while it
simulates and imports, so that service and worker need not compile the same code, both at once.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Compile what a decision needs of the product in the folder that is named."""
    from features.core.kernel import vector
    from features.core.program import compile_program
    from features.declarations.product_file import load_product

    vector(b"", 0, compile_program(load_product(Path(sys.argv[1])).catalogue))


if __name__ == "__main__":
    main()
