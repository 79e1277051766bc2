"""Generators of the tables in README and docs; not part of the package."""
