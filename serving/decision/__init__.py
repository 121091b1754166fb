"""The pure decision core: (vector, scores, contact history, policy) to a decision.

No clock, randomness, network, files or logging. A refusal is a value with a reason code, never an exception. Read ``decide.py`` first.
"""
