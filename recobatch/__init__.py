"""Train a recommender, ask it, and read published tables, in Python.

::

    import recobatch as rb

    model = rb.fit(frame)
    model.predict(frame)
    model.recommend(users=[1, 2], k=10)
    rb.read_table("predictions").top(1)

Everything is imported when it is first used: ``import recobatch`` alone imports nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recobatch.api import PublishedTable, Recommender, fit, load, read_table

__all__ = ["PublishedTable", "Recommender", "__version__", "fit", "load", "read_table"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the interface at its first use."""
    if name in __all__:
        return getattr(importlib.import_module("recobatch.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
