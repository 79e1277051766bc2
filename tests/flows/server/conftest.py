"""These tests are about the Prefect server that a run starts by itself."""

import pytest

from tests.support.flow_servers import ON_POSTGRES, FileServers


@pytest.fixture(scope="session")
def prefect_api(prefect_api):
    """Its address, also where the other tests of the flows have a server on Postgres."""
    if not ON_POSTGRES:
        yield prefect_api
        return
    with FileServers().prefect() as own:
        yield own
