"""The pure core: event, timeline, catalogue, kernel, labels.

No clock, randomness, network, files or logging. Time is always an argument, in integer microseconds since the Unix epoch (UTC).
"""
