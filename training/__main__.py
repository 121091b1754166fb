"""``python -m training train``: what MLproject calls. Checks first, with the standard library alone, that the environment is there."""

import importlib.util
import sys

NEEDED = ("cyclopts", "feast", "lightgbm", "mlflow", "numpy", "pandas", "rich")


def missing_packages() -> list[str]:
    """Names of needed packages that this interpreter does not have."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def main() -> int:
    """Run the command line; 2 and one sentence where the environment is not active."""
    missing = missing_packages()
    if missing:
        sys.stderr.write(
            f"training: {sys.executable} has no {', '.join(missing)}; activate .venv: source .venv/bin/activate"
            " (`make setup` creates it), then run the command again\n"
        )
        return 2
    from training.commands.app import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
