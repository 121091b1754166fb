"""Feast, Redis and Parquet behind the ports of `features.ports`, each with a twin in memory. May import everything else in `features`."""

from features.adapters.feast_import import spare_feast_typeguard

spare_feast_typeguard()  # on import, for once: it has to come before Feast, which most modules here import
