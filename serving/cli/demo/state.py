"""The demo's state: what it may wipe, and whether there is a trained model to go on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from features.home import Home
from serving.cli.faults import BadInputError

_MARK = "demo.json"
_KEPT = {".gitignore"}


def reset(home: Home) -> None:
    """Empty the state directory, if the demo made what is in it.

    Raises
    ------
    BadInputError
        If it holds anything else: nobody's data is deleted by a demo.
    """
    contents = [path for path in home.root.iterdir() if path.name not in _KEPT] if home.root.is_dir() else []
    if contents and not is_demo(home):
        raise BadInputError(
            f"{home.root} holds data that the demo did not make, so it will not be replaced; choose another place: "
            "stillhere demo --home .stillhere-demo (or set STILLHERE_HOME), or delete it yourself"
        )
    for path in contents:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    home.root.mkdir(parents=True, exist_ok=True)
    (home.root / _MARK).write_text(
        json.dumps({"made_by": "stillhere demo", "note": "the next demo replaces this folder's contents"}) + "\n"
    )


def is_demo(home: Home) -> bool:
    """Whether the demo made this state and nothing of anyone else's was added."""
    return (home.root / _MARK).is_file()


def keep(home: Home) -> None:
    """Mark the state as somebody's own: from now on no demo replaces it."""
    (home.root / _MARK).unlink(missing_ok=True)


def is_trained(home: Home, product: str) -> bool:
    """Whether events were imported here and a model was fetched."""
    return _has(home.raw_dir(product), "day=*/part-*.parquet") and _has(home.bundles_dir(product), "*/manifest.json")


def _has(folder: Path, pattern: str) -> bool:
    return next(folder.glob(pattern), None) is not None
