"""A prediction table in an object store.

Nothing here is imported, and no package for object stores is needed, unless a table's address is a URI.
"""

from recobatch.table.object_store.store import ObjectStore

__all__ = ["ObjectStore"]
