"""Whom to contact, with what: effects of actions learned from randomised experiments, and what choosing by them is worth.

`experiment` is the data and its checks, `learners` has T, X and DR, `qini` measures a ranking, `budget` compares nobody, risk-ranked and
uplift-ranked at equal contacts, `study` does all of it by a protocol, `matching` measures cause-matched against random messages. Plain
functions over DataFrames and arrays; `training.ope` says what a policy is worth.
"""
