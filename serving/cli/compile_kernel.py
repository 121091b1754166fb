"""``python -m serving.cli.compile_kernel FOLDER [serving]``: compile the kernel into its cache, all of it or what serving needs.

The first run on a machine compiles for a minute or two; what one process compiled, the next ones load. `make setup` does it once. Who
installed in another way has it done by the first command that needs it: the demo compiles beside simulating and importing, `serve` and `up`
before service and worker start, which would all compile the same at once.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from features.core.program import Program


SERVING = "serving"


def main() -> None:
    """Compile what decisions and the worker need of the product in the folder that is named; unless told so alone, training too."""
    import numpy as np

    from features.core.first_use import use_once
    from features.core.nearest import coordinates, nearest
    from features.core.program import compile_program
    from features.declarations.product_file import load_product

    program = compile_program(load_product(Path(sys.argv[1])).catalogue)
    use_once(program, datetime.now(UTC))
    nearest(np.zeros((1, 1)), np.zeros(1, np.int64), np.ones((5, 1)), np.zeros((1, 1)))
    coordinates(np.zeros((1, 1)), np.ones((5, 1)))
    if SERVING not in sys.argv[2:]:
        _compile_batch(program)


def _compile_batch(program: Program) -> None:
    import numpy as np

    from features.core.columns import EventColumns
    from features.core.kernel import batch_vectors

    numbers = {field.name: np.zeros(1, np.int64) for field in fields(EventColumns) if field.name != "kind"}
    columns = EventColumns(**numbers, kind=np.zeros(1, np.int16))
    batch_vectors(columns, 1, np.zeros(1, np.int64), np.zeros(1, np.int64), program)


if __name__ == "__main__":
    main()
