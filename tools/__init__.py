"""Generators of the tables in docs/; not part of the package."""
