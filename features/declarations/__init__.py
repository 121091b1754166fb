"""Declarations: how ``product.yaml`` becomes a `Product`, and how external logs are described.

pydantic stays in this package; what leaves it is frozen core values. May import features.core alone.
"""
