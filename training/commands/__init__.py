"""The command line of training, a module for each command; every command only calls a function that a notebook could call."""
