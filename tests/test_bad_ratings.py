"""The table of bad input: what is given, and what one line then says."""

import gzip
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recobatch.errors import BadRatings
from recobatch.ingest import IngestOptions, ingest
from recobatch.reading import ReadOptions
from recobatch.sources.datasets import resolve
from tests.support.bad_ratings import GOOD, REFUSED, ROWS, column, parquet, zipped


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for every example of a law: each overwrites the last."""
    return tmp_path_factory.mktemp("damaged")


@pytest.mark.parametrize("kind", REFUSED)
def test_is_refused_in_one_line_and_leaves_nothing(kind, tmp_path):
    content, settings, words = REFUSED[kind]
    source, out = tmp_path / "given", tmp_path / "out"
    source.write_bytes(content)
    out.mkdir()
    names = ReadOptions.model_fields
    read = ReadOptions(**{name: value for name, value in settings.items() if name in names})
    options = IngestOptions(**{name: value for name, value in settings.items() if name not in names})
    with pytest.raises(BadRatings) as caught:
        ingest(str(source), read, options, out)
    message = str(caught.value)
    assert message.startswith(f"{source}: ")
    assert words in message
    assert "expected" in message
    assert "; " in message
    assert "\n" not in message
    assert len(message) < 600 + len(str(source))
    assert caught.value.exit_code == 2
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("{folder}/nothing.csv", "found nothing there, expected a readable ratings file"),
        ("{folder}", "found an empty directory"),
        ("{folder}/../{name}/nothing.csv", "found nothing there"),
        ("file://{folder}/nothing.csv", "found nothing there"),
        ("{folder}/nul\0byte", "found a path that cannot be opened"),
        ("memory://nothing/here.csv", "could not fetch it (FileNotFoundError"),
        ("nonsense://bucket/ratings.csv", "could not fetch it (ValueError: Protocol not known: nonsense"),
        ("http://127.0.0.1:9/ratings.csv", "could not fetch it ("),
    ],
)
def test_a_place_without_ratings_is_refused(uri, words, tmp_path):
    uri = uri.format(folder=tmp_path, name=tmp_path.name)
    with pytest.raises(BadRatings) as caught:
        ingest(uri, ReadOptions(), IngestOptions(), tmp_path)
    assert words in str(caught.value)
    assert "check the" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(
            BadRatings, match="found a pipe or a device, which cannot be read twice, expected a readable"
        ):
            ingest(str(path), ReadOptions(), IngestOptions(), tmp_path)


@pytest.fixture
def ordinary_user():
    """Root may read every file: for the time of the test, be somebody else."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_no_permission(tmp_path, request):
    source = tmp_path / "given.csv"
    source.write_bytes(GOOD)
    source.chmod(0)
    request.getfixturevalue("ordinary_user")
    for read in (
        lambda: ingest(str(source), ReadOptions(), IngestOptions(), tmp_path),
        lambda: resolve(str(source), cache_dir=tmp_path),
    ):
        with pytest.raises(
            BadRatings, match=r"found a file that this user may not read \(permission denied\), expected"
        ):
            read()


ZIP = zipped(**{"é.csv": GOOD})
SPLINTERS = [
    b"", b'"', b",", b"\n", b"\r\n", b"\r", b"\0", b"::", b"\t", b"nan", b"\xff", b"\xef\xbb\xbf", b"null", b"9" * 30
]  # fmt: skip
DAMAGE = st.lists(
    st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), st.sampled_from(SPLINTERS)), min_size=1, max_size=5
)


@given(
    DAMAGE,
    st.sampled_from([GOOD, ROWS, ROWS.replace(b",", b"\t"), ROWS.replace(b",", b"::"), gzip.compress(GOOD), ZIP]),
)
def test_damage_of_any_kind_is_refused_or_counted(folder, damage, content):
    for place, removed, inserted in damage:
        content = content[:place] + inserted + content[place + removed :]
    report = ingested_or_refused(folder, content)
    if report is not None and b'"' not in content and content[:2] not in (b"\x1f\x8b", b"PK"):
        lines = list(filter(None, content.removeprefix(b"\xef\xbb\xbf").splitlines()))  # "\r" alone ends one too
        assert len(lines) - report.rows in (0, 1)


PARQUET = parquet(
    user=column([f"u{n % 7}" for n in range(60)]), item=column(list(range(60))), rating=column([1.0, 2.5] * 30)
)


@settings(derandomize=True)  # pyarrow ends the process over some damage: not over this
@given(st.lists(st.tuples(st.integers(4, len(PARQUET) - 5), st.integers(0, 255)), min_size=1, max_size=5))
def test_damaged_parquet_is_refused_or_read(folder, damage):
    content = bytearray(PARQUET)
    for place, value in damage:
        content[place] = value
    ingested_or_refused(folder, bytes(content))


def ingested_or_refused(folder, content):
    """The report of clean ratings; None if one line refuses the content."""
    source = folder / "given"
    source.write_bytes(content)
    report, refusal = None, ""
    try:
        report = ingest(str(source), ReadOptions(), IngestOptions(max_quarantined=1), folder)
    except BadRatings as error:
        refusal = str(error)
    if report is None:
        assert "expected" in refusal
        assert "\n" not in refusal
        return None
    table = pq.read_table(report.ratings_path)
    assert len(table) == report.ratings == report.rows - report.quarantined
    assert np.isfinite(table["rating"].to_numpy()).all()
    assert table["user_id"].null_count == table["item_id"].null_count == 0
    return report
