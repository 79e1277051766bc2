"""Travels with every logged model as its loader: the installed recobatch serves it, else the copy beside this file."""

import sys
from pathlib import Path
from typing import Any


def _load_pyfunc(path: str) -> Any:  # noqa: ANN401 - MLflow's protocol
    """MLflow's hook: see ``recobatch.served.load``."""
    try:
        from recobatch.served import load
    except ImportError:
        sys.path.append(str(Path(__file__).parent / "recobatch_copy"))
        from recobatch.served import load
    return load(Path(path))
