"""Compressed files: read to their end, or refused wherever the damage is and whatever they grow to."""

import bz2
import contextlib
import errno
import gzip
import lzma
import os

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.errors import BadRatings
from recobatch.ingest import IngestOptions, ingest
from recobatch.reading import ReadOptions
from recobatch.reading.packed import most_bytes, opened
from tests.support.bad_ratings import packed

CONTENT = b"user,item,rating\n1,2,3\n"
PACK = {
    "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
    "zstd": lambda content: packed("zstd", content), "lz4": lambda content: packed("lz4", content),
}  # fmt: skip
CHECKED = ("gzip", "bz2", "xz")
"""Formats that hold a checksum of the content."""
PARTS = [b"".join(b"%d,%d,%d\n" % (user, item, user * item % 5) for item in range(300)) for user in range(3)]
STREAMS = {name: [pack(part) for part in PARTS] for name, pack in PACK.items()}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """One file for every example of a law: each overwrites the last."""
    return tmp_path_factory.mktemp("packed") / "given"


def content_of(path, content, max_bytes=None):
    path.write_bytes(content)
    with opened(path, "given", max_bytes) as stream:
        return stream.read()


@pytest.mark.parametrize("name", PACK)
def test_all_streams_of_a_file_are_read(name, path):
    assert content_of(path, b"".join(STREAMS[name])) == b"".join(PARTS)


@pytest.mark.parametrize("padding", [4, 8, 1 << 21])
def test_padding_of_xz_is_read_past(path, padding):
    first, second, third = STREAMS["xz"]
    content = first + bytes(padding) + second + third + bytes(padding)
    assert content_of(path, content) == b"".join(PARTS)


@given(st.sampled_from(CHECKED), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(path, name, place, bit):
    content = bytearray(b"".join(STREAMS[name]))
    content[max(6, int(place * len(content)))] ^= 1 << bit  # the first bytes name the format
    with contextlib.suppress(BadRatings):
        assert content_of(path, bytes(content)) == b"".join(PARTS)


@given(st.sampled_from(sorted(PACK)), st.floats(0, 1, exclude_max=True))
def test_a_cut_is_refused_unless_it_is_between_two_streams(path, name, place):
    streams = STREAMS[name]
    ends = [0, len(streams[0]), len(streams[0] + streams[1])]
    cut = 8 + int(place * (len(b"".join(streams)) - 8))
    if cut in ends:
        return
    with pytest.raises(BadRatings, match="given: found a damaged or cut-off compressed file"):
        content_of(path, b"".join(streams)[:cut])


@pytest.mark.parametrize("name", CHECKED)
def test_what_follows_the_last_stream_is_not_taken_for_its_end(name, path):
    with pytest.raises(BadRatings, match="found a damaged or cut-off compressed file"):
        content_of(path, STREAMS[name][0] + b"1,2,3\n")


def test_a_file_may_grow_a_hundredfold_or_to_128_mib_or_as_told(path):
    path.write_bytes(bytes(3_000_000))
    assert most_bytes(path, None) == 300_000_000
    path.write_bytes(b"")
    assert most_bytes(path, None) == 1 << 27
    assert most_bytes(path, 12) == 12


@pytest.mark.parametrize("name", PACK)
def test_a_file_that_grows_beyond_the_limit_is_refused_while_it_is_read(name, path):
    content = PACK[name](bytes(2 << 20))
    assert content_of(path, content, 2 << 20) == bytes(2 << 20)
    with pytest.raises(BadRatings) as caught:
        content_of(path, content, 1 << 20)
    assert str(caught.value) == (
        f"given: found more than 1,048,576 bytes in a compressed file of {len(content):,}, expected at most 1,048,576; "
        f"if it is meant to grow so much, pass --set ingest.max_bytes=N"
    )


def test_what_a_raised_limit_lets_pass_is_read_and_quoted_by_line(tmp_path):
    (tmp_path / "given").write_bytes(gzip.compress(CONTENT + b"1,2\n" + b"\n" * 10_000))
    (tmp_path / "out").mkdir()
    for limit, lines in ((100_000, [3]), (5_000, None)):
        options = IngestOptions(max_bytes=limit, max_quarantined=1)
        if lines is None:
            with pytest.raises(BadRatings, match="found more than 5,000 bytes"):
                ingest(str(tmp_path / "given"), ReadOptions(), options, tmp_path / "out")
        else:
            report = ingest(str(tmp_path / "given"), ReadOptions(), options, tmp_path / "out")
            assert pq.read_table(report.quarantine_path)["line"].to_pylist() == lines


def test_what_is_packed_is_told_by_content_and_not_by_name(tmp_path):
    path = tmp_path / "ratings.parquet.zst"
    path.write_bytes(gzip.compress(CONTENT))
    with opened(path, "given") as stream:
        assert stream.read() == CONTENT


def test_a_failing_disk_is_not_called_a_damaged_file(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes(CONTENT)
    with (
        pytest.raises(BadRatings, match=r"given: found a file that cannot be read \(Input/output error\), expected"),
        opened(path, "given"),
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
