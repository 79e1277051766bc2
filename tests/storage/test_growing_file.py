"""A file that grows by whole pieces, and what another process finds of it."""

import os

import pytest

from recobatch.storage.growing_file import GrowingFile

PIECES = [[b"one ", b"and"], [], [b"two" * 1000], [b"three"]]


@pytest.fixture
def grown(tmp_path):
    file = GrowingFile(tmp_path)
    for piece in PIECES:
        file.append(piece)
    return file


def test_another_process_finds_all_pieces_and_adds_to_them(tmp_path, grown):
    again = GrowingFile(tmp_path)
    assert again.n_pieces == 4
    again.append([b"four"])
    assert grown.path.read_bytes() == b"".join(map(b"".join, [*PIECES, [b"four"]]))
    assert GrowingFile(tmp_path).n_pieces == 5


@pytest.mark.parametrize(
    ("place", "whole"), [(0, 0), (6, 0), (7, 2), (3006, 2), (3007, 3), (3011, 3)]
)  # fmt: skip
def test_what_follows_damage_is_cut_off(tmp_path, grown, place, whole):
    content = bytearray(grown.path.read_bytes())
    content[place] ^= 1
    grown.path.write_bytes(content)
    again = GrowingFile(tmp_path)
    assert again.n_pieces == whole
    assert grown.path.read_bytes() == b"".join(map(b"".join, PIECES[:whole]))


@pytest.mark.parametrize("left", range(1, 40))
def test_half_a_list_or_half_a_file_counts_as_far_as_it_goes(tmp_path, grown, left):
    lines = tmp_path / "pieces"
    os.truncate(lines, min(left, lines.stat().st_size))
    kept = lines.read_bytes().count(b"\n")
    assert GrowingFile(tmp_path).n_pieces == kept
    os.truncate(grown.path, max(0, grown.path.stat().st_size - 1))
    assert GrowingFile(tmp_path).size <= grown.path.stat().st_size


def test_bytes_without_a_line_do_not_count(tmp_path, grown):
    with grown.path.open("ab") as file:
        file.write(b"half a piece")
    assert GrowingFile(tmp_path).n_pieces == 4
    assert grown.path.read_bytes().endswith(b"three")
