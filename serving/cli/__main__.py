"""``python -m serving.cli``: the same as ``stillhere``."""

from serving.cli.main import main

main()
