"""The command line, ``stillhere``: what a person does with an installation. Every command is a short module that a reader can follow.

Heavy libraries are imported inside the commands, so that ``stillhere --help`` answers at once.
"""

from serving.cli.main import main

__all__ = ["main"]
