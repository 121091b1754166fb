"""Whether the users of today are still those that the model learned from, and whether it is time to train again.

`psi` and `two_sample` compare one column, `compare` all of them with the number of tests accounted for, `trigger` names the reasons to
train again. MLflow only in `run`.
"""
