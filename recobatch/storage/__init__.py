"""Durable writes, folder locks, scratch folders and the workspace of stage outputs."""
