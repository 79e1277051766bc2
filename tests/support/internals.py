"""Names within a vendor's package, and the private ones that our code imports."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any


def parameters(dotted: str) -> tuple[str, ...]:
    """Names of the parameters of a function or class that is named by its dotted path."""
    return tuple(inspect.signature(find(dotted)).parameters)


def find(dotted: str) -> Any:
    module, *rest = dotted.split(".")
    found = importlib.import_module(module)
    for name in rest:
        module = f"{module}.{name}"
        found = getattr(found, name) if hasattr(found, name) else importlib.import_module(module)
    return found


def minor(package: str) -> str:
    return ".".join(version(package).split(".")[:2])


def private_imports(folder: Path, vendor: str) -> Iterator[str]:
    """Dotted names that the modules below a folder import from a vendor with an underscore in front."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == vendor:
                yield from (f"{node.module}.{name.name}" for name in node.names if "._" in f"{node.module}.{name.name}")
