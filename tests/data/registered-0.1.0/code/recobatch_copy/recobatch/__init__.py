"""Batch recommender scoring: plain typed functions, usable from a notebook with no server in sight."""

__version__ = "0.1.0"
