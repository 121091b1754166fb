"""Decides, within caps, whether and how to help one user; and everything around that decision.

``decision`` is pure; ``use_case`` runs it through the ``ports``; ``adapters`` implement them; ``bootstrap`` puts them together.
"""
