"""Small changes to the disk happen whole or not at all, and say in one line why not."""

import errno
import os
from pathlib import Path

import pytest

from recobatch.errors import RecobatchError
from recobatch.storage import durable
from tests.support.faults.disk import refusing


def test_write_replaces_whole(tmp_path):
    path = tmp_path / "a"
    durable.write_file(path, b"old")
    durable.write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("at", [1, 2])
def test_write_that_is_refused_leaves_the_old(tmp_path, at):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with refusing(at, errno.EIO).mounted(), pytest.raises(OSError, match="Input/output"):
        durable.write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_swap_moves_a_link_in_one_step(tmp_path):
    link = tmp_path / "current"
    for target in ("versions/a", "versions/b"):
        durable.swap_link(link, Path(target))
        assert link.readlink() == Path(target)
    with refusing(2, errno.EIO).mounted(), pytest.raises(OSError, match="Input/output"):
        durable.swap_link(link, Path("versions/c"))
    assert link.readlink() == Path("versions/b")
    assert list(tmp_path.iterdir()) == [link]


def test_remove_takes_files_folders_and_links_but_not_what_a_link_points_at(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").touch()
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner").symlink_to("../kept")
    for name in ("link", "folder", "kept/x", "never there"):
        durable.remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(("number", "way_out"), [
    (errno.ENOSPC, "free space there"), (errno.EROFS, "mount it writable"), (errno.EACCES, "write permission"),
    (errno.EIO, "check it"), (errno.EXDEV, "look at the folder"),
])  # fmt: skip
def test_a_refusal_is_one_line_with_a_way_out(number, way_out):
    with pytest.raises(RecobatchError) as told, durable.explained("write the shard", Path("/data/x")):
        raise OSError(number, os.strerror(number))
    words = str(told.value)
    assert told.value.exit_code == 1
    assert words.startswith(
        f"/data/x: found that the disk refused to write the shard ({os.strerror(number)}), expected"
    )
    assert way_out in words
    assert "\n" not in words


def test_a_refusal_without_a_number_is_one_line_as_well():
    with pytest.raises(RecobatchError, match=r"\(IOError: two lines\)"), durable.explained("read", Path("x")):
        raise OSError("IOError:\ntwo lines")
