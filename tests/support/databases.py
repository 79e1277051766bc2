"""Databases of Prefect and MLflow as they are after their migrations: made once for a version, copied for every test.

Making one takes six to eleven seconds, copying it a millisecond. The templates lie under build/, so that the next suite
finds them; any number of processes may ask for one at once.
"""

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

from flows.server.environment import prepare_environment
from flows.server.local import LocalServer
from tests.support.paths import REPO

_TEMPLATES = REPO / "build" / "test-databases"


def prefect_home(folder: Path) -> Path:
    """Make a home for Prefect whose database has its tables."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_template("prefect", _make_prefect), folder / "prefect.db")
    return folder


def mlflow_database(path: Path) -> Path:
    """Make a database for MLflow that has its tables."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_template("mlflow", _make_mlflow), path)
    return path


def _template(vendor: str, make: Callable[[Path, Path], None]) -> Path:
    template = _TEMPLATES / f"{vendor}-{version(vendor)}.db"
    if not template.exists():
        _TEMPLATES.mkdir(parents=True, exist_ok=True)
        with (_TEMPLATES / f"{vendor}.lock").open("w") as lock, tempfile.TemporaryDirectory(dir=_TEMPLATES) as folder:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not template.exists():
                made = Path(folder, "made.db")
                make(Path(folder), made)
                made.replace(template)
    return template


def _make_prefect(folder: Path, made: Path) -> None:
    with patch.dict(os.environ, {"PREFECT_HOME": str(folder)}):
        prepare_environment(folder)
        server = LocalServer()
        try:
            server.wait_until_ready()
        finally:
            server.stop()
    with closing(sqlite3.connect(folder / "prefect.db")) as database:
        database.execute("VACUUM INTO ?", (str(made),))


def _make_mlflow(_: Path, made: Path) -> None:
    from recobatch.tracking.database import prepare_database  # lazy: whoever finds the template needs no MLflow

    prepare_database(f"sqlite:///{made}")
