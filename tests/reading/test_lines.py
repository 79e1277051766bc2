import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.reading import lines
from recobatch.reading.lines import lines_of


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("lines") / "given"


@given(
    st.lists(st.sampled_from(["a", "bcd", "", '"x\ny"', '"x\n\ny\r\n"']), min_size=1, max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 9),
)
def test_lines_are_those_of_an_editor(path, fields, end, chunk):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lines, "_CHUNK_BYTES", chunk)
        path.write_bytes(end.join(fields).encode())
        expected, line = [], 1
        for field in fields:
            expected += [line] if field else []
            line += 1 + field.count("\n")
        records = np.arange(1, len(expected) + 1)
        found = lines_of(path, records, skipped=0, n_records=len(expected), where="given")
    assert found.tolist() == expected


def test_skipped_lines_are_counted_and_not_looked_at(path):
    path.write_text("\nheader\n\nfirst\n\nsecond\n")
    assert lines_of(path, np.array([3, 4]), skipped=2, n_records=2, where="given").tolist() == [4, 6]


def test_stray_quotation_marks_are_no_quotation(path):
    path.write_text('a 5" disk\nb\nc 3" disk\nd\n')
    assert lines_of(path, np.array([2, 4]), skipped=0, n_records=4, where="given").tolist() == [2, 4]


def test_where_lines_cannot_be_told_apart_records_are_counted(path):
    path.write_text("a\rb\rc\r")
    assert lines_of(path, np.array([2]), skipped=0, n_records=3, where="given").tolist() == [2]
