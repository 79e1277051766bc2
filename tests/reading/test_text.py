"""The table of odd but good text files: what is given, and what it means."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.reading.text import _ReplacedDelimiter
from tests.support.ingesting import clean_rows
from tests.support.odd_ratings import ACCEPTED


@pytest.mark.parametrize("kind", ACCEPTED)
def test_is_read_as_it_was_meant(kind, tmp_path):
    content, read, rows = ACCEPTED[kind]
    assert clean_rows(tmp_path, content, **read) == rows


@given(st.text("a:", max_size=30), st.integers(1, 5))
def test_double_colons_become_one_character_whatever_the_read_size(text, size):
    stream = _ReplacedDelimiter(io.BytesIO(text.encode()), b"::")
    chunks = iter(lambda: stream.read(size), b"")
    assert b"".join(chunks).decode() == text.replace("::", "\x1f")
