"""``python -m serving.cli.compile_kernel FOLDER``: compile the kernel into its cache.

The first run on a machine compiles for half a minute; what one process compiled, the next ones load. `make setup` does it once. The demo
starts it too, beside simulating and importing, for whoever installed in another way.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path


def main() -> None:
    """Compile what decisions, the worker and training need of the product in the folder that is named."""
    import numpy as np

    from features.core.columns import EventColumns
    from features.core.first_use import use_once
    from features.core.kernel import batch_vectors
    from features.core.nearest import coordinates, nearest
    from features.core.program import compile_program
    from features.declarations.product_file import load_product

    program = compile_program(load_product(Path(sys.argv[1])).catalogue)
    use_once(program, datetime.now(UTC))
    numbers = {field.name: np.zeros(1, np.int64) for field in fields(EventColumns) if field.name != "kind"}
    columns = EventColumns(**numbers, kind=np.zeros(1, np.int16))
    batch_vectors(columns, 1, np.zeros(1, np.int64), np.zeros(1, np.int64), program)
    nearest(np.zeros((1, 1)), np.zeros(1, np.int64), np.ones((5, 1)), np.zeros((1, 1)))
    coordinates(np.zeros((1, 1)), np.ones((5, 1)))


if __name__ == "__main__":
    main()
