"""The local MLflow database: created once, by one process."""

import secrets
from pathlib import Path

from recobatch.storage.initialize import lock_to_initialize


def local_database(uri: str) -> Path | None:
    """The file behind a ``sqlite:///`` URI; none behind others."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def prepare_database(uri: str) -> None:
    """Create the database of a ``sqlite:///`` URI if it does not exist; other URIs are left alone.

    MLflow migrates an empty file in place, table by table: two processes doing so at once, or one that is killed,
    leave a database that no later start can repair. So it is made under another name, under a lock, and renamed.
    """
    path = local_database(uri)
    if path is None:
        return
    lock = lock_to_initialize(path.with_name(f".{path.name}.lock"), lambda: path.exists() and path.stat().st_size > 0)
    if lock is not None:
        with lock:
            _remove_attempts(path)
            _create(path)


def _remove_attempts(path: Path) -> None:
    """Only the holder of the lock creates, so every other attempt belongs to a process that was killed."""
    for stray in path.parent.glob(f".{path.name}.new-*"):
        stray.unlink(missing_ok=True)


def _create(path: Path) -> None:
    import sqlalchemy
    from mlflow.store.db import utils as mlflow_db

    # The models register their tables on import, and an empty registry would pass for a complete database.
    from mlflow.store.tracking import sqlalchemy_store as _tables  # noqa: F401

    attempt = path.parent / f".{path.name}.new-{secrets.token_hex(4)}"
    attempt.touch(mode=0o600)  # parameters and tags are for those who may read the project's settings
    engine = sqlalchemy.create_engine(f"sqlite:///{attempt}")
    mlflow_db._initialize_tables(engine)
    engine.dispose()
    attempt.replace(path)
