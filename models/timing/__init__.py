"""When to act: the chance of still being away, the habit of the week, the effect of a delay, and what follows for each candidate slot.

Read ``benefit.py`` first. Everything here is a pure function of its arguments: as_of is one of them, and nothing reads a clock. It needs
numpy and LightGBM's native library alone, so that serving can use it; ``training.timing`` fits it.
"""
