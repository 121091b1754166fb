"""Off-policy evaluation: what another policy would have been worth, from decisions that were logged with their propensities.

`log` says what a log is and refuses what cannot be evaluated; `estimators` has IPS, SNIPS and DR with intervals; `rewards` the
cross-fitted reward model of DR. Plain functions over arrays: uplift and the backtest of policies both use them.
"""
