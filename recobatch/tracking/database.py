"""The local MLflow database: created once, whatever happens meanwhile."""

import fcntl
import secrets
from pathlib import Path


def local_database(uri: str) -> Path | None:
    """The file behind a ``sqlite:///`` URI; none behind others."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def prepare_database(uri: str) -> None:
    """Create the sqlite database of a ``sqlite:///`` URI if it is not there; other URIs are left alone.

    MLflow migrates an empty file in place, table by table: two processes doing so at once, or one that is killed,
    leave a database that no later start can mend. So it is made under another name, under a lock, and renamed.
    """
    path = local_database(uri)
    if path is None or (path.exists() and path.stat().st_size):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists() or not path.stat().st_size:
            _remove_attempts(path)
            _create(path)


def _remove_attempts(path: Path) -> None:
    """Only the holder of the lock creates, so every other attempt belongs to a process that died."""
    for stray in path.parent.glob(f".{path.name}.new-*"):
        stray.unlink(missing_ok=True)


def _create(path: Path) -> None:
    import sqlalchemy
    from mlflow.store.db import utils as mlflow_db

    # The models register their tables on import, and an empty registry would pass for a complete database.
    from mlflow.store.tracking import sqlalchemy_store as _tables  # noqa: F401

    attempt = path.parent / f".{path.name}.new-{secrets.token_hex(4)}"
    engine = sqlalchemy.create_engine(f"sqlite:///{attempt}")
    mlflow_db._initialize_tables(engine)
    engine.dispose()
    attempt.replace(path)
