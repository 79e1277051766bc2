"""The pointer's content: what it keeps, where a roll-back leads, and what retention removes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.table.catalog import Catalog, CatalogEntry
from recobatch.table.manifest import Manifest


def manifest(number: int, parent: str | None = None) -> Manifest:
    return Manifest(
        f"v{number}", number, "2026-01-01T00:00:00+00:00", "plain", (), {}, (), {"inputs": f"i{number}"}, parent
    )


@st.composite
def catalogs(draw):
    """After publishes, roll-backs to any version and retention, in any order; and how many to keep next."""
    catalog, number = Catalog(), 0
    for step in draw(st.lists(st.sampled_from(["publish", "roll back", "retain"]), min_size=1, max_size=25)):
        if step == "publish" or not catalog.version:
            number = catalog.next_sequence
            catalog = catalog.pointing_at(manifest(number, catalog.version or None), "batch")
        elif step == "roll back":
            entry = draw(st.sampled_from(list(catalog.snapshots.values())))
            catalog = catalog.pointing_at(manifest(entry.sequence, entry.parent), "person")
        else:
            gone = catalog.to_remove(draw(st.integers(1, 4)), among=catalog.snapshots)
            catalog = catalog.without([catalog.snapshots[version] for version in gone], "batch")
    return catalog, draw(st.integers(1, 4))


@given(catalogs())
def test_what_is_stored_is_loaded(drawn):
    catalog, _ = drawn
    assert Catalog.load(catalog.dump()) == catalog


@given(catalogs())
def test_a_rollback_never_leads_to_what_was_rolled_back(drawn):
    catalog, _ = drawn
    target = catalog.good_before(catalog.version, among=catalog.snapshots)
    earlier = {
        version for version, entry in catalog.snapshots.items()
        if entry.sequence < catalog.snapshots[catalog.version].sequence and version not in catalog.rolled_back
    }  # fmt: skip
    assert (target in earlier) if earlier else (target is None)
    assert catalog.version not in catalog.rolled_back


@given(catalogs())
def test_retention_removes_what_was_rolled_back_before_anything_good(drawn):
    catalog, keep = drawn
    target = catalog.good_before(catalog.version, among=catalog.snapshots)
    gone = catalog.to_remove(keep, among=catalog.snapshots)
    left = [version for version in catalog.snapshots if version not in gone]
    assert len(left) == min(keep, len(catalog.snapshots))
    assert catalog.version in left
    good = [version for version in gone if version not in catalog.rolled_back]
    if good:
        assert set(left).isdisjoint(catalog.rolled_back)
    if target in gone:
        assert left == [catalog.version]
    assert gone == sorted(
        gone, key=lambda version: (version in good, version == target, catalog.snapshots[version].sequence)
    )


@given(catalogs())
def test_marks_stay_and_numbers_grow(drawn):
    catalog, keep = drawn
    gone = catalog.to_remove(keep, among=catalog.snapshots)
    after = catalog.without([catalog.snapshots[version] for version in gone], "batch")
    assert after.rolled_back == catalog.rolled_back
    published = after.pointing_at(manifest(after.next_sequence, after.version), "batch")
    assert published.rolled_back == catalog.rolled_back
    assert published.snapshots[published.version].sequence > max(
        entry.sequence for entry in (*catalog.snapshots.values(), *catalog.rolled_back.values())
        if entry.version not in gone or entry.version in catalog.rolled_back
    )  # fmt: skip


def test_a_removed_parent_is_passed_over_by_what_is_known_of_it():
    """v3's parent v2 was rolled back and removed: its own parent is the next."""
    entries = {
        "v0": CatalogEntry("v0", 0),
        "v1": CatalogEntry("v1", 1, "v0"),
        "v3": CatalogEntry("v3", 3, "v2"),
    }
    catalog = Catalog("v3", "plain", entries, {"v2": CatalogEntry("v2", 2, "v0")})
    assert catalog.good_before("v3", among=entries) == "v0"


def test_without_parents_it_is_the_newest_earlier_one_that_was_not_rolled_back():
    entries = {f"v{n}": CatalogEntry(f"v{n}", n) for n in range(1, 5)}
    catalog = Catalog("v4", "plain", entries, {"v3": entries["v3"]})
    assert catalog.good_before("v4", among=entries) == "v2"
    assert catalog.good_before("v4", among={"v1", "v3"}) == "v1"
    assert catalog.good_before("v1", among=entries) is None


@pytest.mark.parametrize(("content", "marked"), [
    ({"version": "v2", "champion": "plain", "sequence": 2, "rolled_back": {"v3": 3}}, {"v3": CatalogEntry("v3", 3)}),
    ({"version": "v2", "champion": "plain", "snapshots": {"v1": 1, "v2": 2, "v3": 3}, "holder": "b", "token": "t",
      "rolled_back": ["v3", "v0"]}, {"v3": CatalogEntry("v3", 3)}),
    ({"version": "v2", "champion": "plain"}, {}),
], ids=["folder", "bucket", "copy of a folder"])  # fmt: skip
def test_catalogs_of_earlier_releases_are_read(content, marked):
    catalog = Catalog.load(json.dumps(content).encode())
    assert (catalog.version, catalog.champion, catalog.rolled_back) == ("v2", "plain", marked)


@pytest.mark.parametrize("text", [
    b"", b"[]", b"{}",
    b'{"version": "v1", "snapshots": {"v2": 1}}',
    b'{"version": "v1", "snapshots": {"v1": {"sequence": 1}}}',
    b'{"version": "v1", "snapshots": [1]}',
])  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        Catalog.load(text)
