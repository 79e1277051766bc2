"""Figures that are built but not drawn, for whole runs whose report nobody looks at: drawing is a third of such a run.

What the figures show is held by ``tests/report``; the cold starts, MovieLens among them, draw theirs.
"""

from typing import IO, Any

_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"></svg>'


def save_blank(_figure: Any, target: IO[Any], *, format: str = "svg", **_options: Any) -> None:
    """Stand in for ``matplotlib.figure.Figure.savefig``."""
    target.write(_SVG if format == "svg" else b"\x89PNG\r\n\x1a\n")
