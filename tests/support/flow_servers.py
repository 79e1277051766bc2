"""Where the flow tests' servers keep their data: in files, or, in `make faults`, in a real Postgres.

With ``FLOW_SERVERS=postgres`` the tests use ``prefect server start`` and ``mlflow server`` of the installed packages,
each on a database of its own. MLflow has a server for every module, as every module has a registry of its own.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path

import psycopg2
import pytest

from flows.server.environment import prepare_environment
from flows.server.local import LocalServer
from recobatch.tracking import TrackingOptions
from tests.support.databases import mlflow_database, prefect_home
from tests.support.mlflow_server import free_port, serving
from tests.support.postgres_server import programs
from tests.support.prefect_api import AUTH_STRING

ON_POSTGRES = os.environ.get("FLOW_SERVERS") == "postgres"


def tracking_address(project: Path) -> str:
    """Where the runs of a project are tracked: its MLflow server, or the database in its folder."""
    return TrackingOptions().resolve_uri(project)


def artifact_folder(project: Path, uri: str) -> Path:
    """The folder behind the address of an artifact, which an MLflow server on Postgres keeps below ``mlruns``."""
    if uri.startswith("mlflow-artifacts:"):
        return project / "mlruns" / uri.removeprefix("mlflow-artifacts:").lstrip("/")
    return project / uri.removeprefix("file://")


class FileServers:
    """Prefect's server on a file, and MLflow's database as a file of the project, without a server."""

    @contextmanager
    def prefect(self) -> Iterator[str]:
        """Run a Prefect server until the block ends; yields the address of its API."""
        prepare_environment(prefect_home(Path(os.environ["PREFECT_HOME"])))
        server = LocalServer()
        try:
            yield server.wait_until_ready().api_url
        finally:
            server.stop()

    def prefect_database(self) -> dict[str, str]:
        """Variables by which a Prefect server keeps its data in a new database; none for a file in its home."""
        return {}

    @contextmanager
    def tracking(self, project: Path) -> Iterator[None]:
        """Have the runs of a project tracked in a registry of its own until the block ends."""
        mlflow_database(project / "mlflow.db")
        yield

    def dump(self, project: Path) -> None:
        """Have what the databases hold in files of the project, named ``prefect.db`` and ``mlflow.db``."""


class PostgresServers:
    """Both servers as their operators run them."""

    def __init__(self, url: str) -> None:
        """Use a Postgres.

        Args:
            url: Address of its superuser, without a database.
        """
        self._url, self._numbers = url, count(1)
        self._databases: dict[str, str] = {}

    @contextmanager
    def prefect(self) -> Iterator[str]:
        home, port = Path(os.environ["PREFECT_HOME"]), free_port()
        prepare_environment(home)
        command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        environment = {"PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING, **self.prefect_database()}
        with serving(command, f"http://127.0.0.1:{port}/api", home, **environment) as url:
            yield url

    def prefect_database(self) -> dict[str, str]:
        self._databases["prefect.db"] = database = self._create()
        return {"PREFECT_API_DATABASE_CONNECTION_URL": database.replace("postgresql:", "postgresql+asyncpg:")}

    @contextmanager
    def tracking(self, project: Path) -> Iterator[None]:
        self._databases["mlflow.db"] = database = self._create(template=self._mlflow_template)
        with self._mlflow(database, project) as url, pytest.MonkeyPatch.context() as environment:
            environment.setenv("MLFLOW_TRACKING_URI", url)
            yield

    def dump(self, project: Path) -> None:
        for name, database in self._databases.items():
            subprocess.run([programs() / "pg_dump", "--dbname", database, "--file", project / name], check=True)

    @contextmanager
    def _mlflow(self, database: str, project: Path) -> Iterator[str]:
        port = free_port()
        command = [
            "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--backend-store-uri", database, "--artifacts-destination", str(project / "mlruns"),
        ]  # fmt: skip
        log = project.with_name(f"{project.name}-mlflow")
        log.mkdir()
        with serving(command, f"http://127.0.0.1:{port}", log) as url:
            yield url

    @cached_property
    def _mlflow_template(self) -> str:
        """Name of a database in which MLflow's own server has made its tables: that takes it ten seconds."""
        database, folder = self._create(), Path(os.environ["PREFECT_HOME"], "mlflow-template")
        folder.mkdir()
        with self._mlflow(database, folder):
            return database.rpartition("/")[2]

    def _create(self, template: str = "template1") -> str:
        """Address of a new database."""
        name = f"tests_{next(self._numbers)}"
        self._execute(f"{self._url}/postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"{self._url}/{name}"

    @staticmethod
    def _execute(database: str, statement: str) -> None:
        connection = psycopg2.connect(database)
        try:
            connection.autocommit = True  # a database cannot be made within a transaction
            connection.cursor().execute(statement)
        finally:
            connection.close()
