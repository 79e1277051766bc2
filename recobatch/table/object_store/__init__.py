"""A prediction table in an object store: the same snapshots, with conditional writes in place of lock and link.

Nothing here is imported, and no package for object stores is needed, unless a table's place is a URI.
"""

from recobatch.table.object_store.object_table import ObjectTable

__all__ = ["ObjectTable"]
