"""Undocumented parts of Prefect are as they were when they were checked."""

import pytest

from flows.server.internals import CHECKED_VERSION, INTERNALS
from tests.support.internals import minor, parameters, private_imports
from tests.support.paths import REPO


@pytest.mark.slow  # imports a server, and only another version changes it
@pytest.mark.parametrize("name", INTERNALS)
def test_an_internal_has_not_changed(name):
    assert parameters(name) == INTERNALS[name]


def test_the_version_is_the_one_they_were_checked_on():
    assert minor("prefect") == CHECKED_VERSION, "check every name in flows.server.internals, then raise CHECKED_VERSION"


def test_none_is_missing_from_the_list():
    assert set(private_imports(REPO / "flows", "prefect")) <= set(INTERNALS)


def test_an_asset_context_still_has_the_assets_of_its_task():
    from prefect.context import AssetContext

    assert "downstream_assets" in AssetContext.model_fields
