"""Alert thresholds with a promise: solved from data so that the alert error holds, watched in operation, solved anew when it breaks.

`solve` finds thresholds, `policy_text` writes them into policy.yaml, `signals` says what is usual for a cohort, `monitor` watches
decisions whose outcomes are known. May import what training may; MLflow only in `run`.
"""
