"""Learn when to act: the hazard of return, the habit of the week, the effect of a delay; and measure each beside what it must beat.

Plain functions over arrays and training frames, usable from a notebook; MLflow is met in `training.timing.run` alone. Read `fitted.py`
first.
"""
