"""Detect the layout of a text file from its first megabyte: delimiter, header, columns, type of times."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from recobatch.errors import BadRatings, NoRatings
from recobatch.reading.columns import Columns, find_columns, known_role
from recobatch.reading.options import ReadOptions
from recobatch.reading.partitions import NO_PARTITIONS

SAMPLE_BYTES = 1 << 20
"""A file whose first line is longer is refused."""

_DELIMITERS = (",", "\t", ";", "|", "::", " ")
_OTHER_TEXTS = {b'{"': "JSON", b"[{": "JSON", b"<!doctype": "a web page", b"<html": "a web page", b"<?xml": "XML"}
_LINES = 200
_WIDEST = 10_000
_LINE_END = re.compile(r"\r\n|\n|\r")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_ISO_DATE = re.compile(r"\s*\d{4}-\d\d-\d\d([T ].*)?")


@dataclass(frozen=True)
class Layout:
    """How to parse a text file."""

    delimiter: str
    header: bool
    names: tuple[str, ...]
    """Names of the columns, or their positions as text; one for each field of a row."""
    columns: Columns
    time_is_integer: bool
    """Whether every time in the sample is an integer."""
    skip: int
    """Number of lines before the first rating."""
    quoted: bool
    """Whether the sample has quotation marks: a quoted field may then contain a line end."""
    quoting: bool
    """Whether quotation marks quote."""
    partitions: Mapping[str, str | None] = field(default_factory=dict)
    """Further columns, whose positions follow those of ``names``, with the value of all rows."""

    def in_file(self) -> dict[str, int]:
        """Role → position of those columns that the file itself has."""
        return {role: place for role, place in self.columns.by_role().items() if place < len(self.names)}

    def name_of(self, position: int) -> str:
        return (*self.names, *self.partitions)[position]


def sniff(
    sample: bytes, options: ReadOptions, where: str, partitions: Mapping[str, str | None] = NO_PARTITIONS
) -> Layout:
    """Detect the layout.

    Args:
        sample: The first bytes of the file; all of it where it is shorter than ``SAMPLE_BYTES``.
        options: Known parts of the layout; the rest is detected.
        where: Name of the file in error messages.
        partitions: Columns that the file's folders name.

    Raises:
        NoRatings: If it has no ratings.
        BadRatings: If it is not a text file, or its layout is ambiguous.
    """
    text = _decoded(sample, where)
    lines = _lines(text, where, cut=len(sample) >= SAMPLE_BYTES)
    least = _least_width(partitions, options)
    delimiter = options.delimiter or _guess_delimiter(lines, least, where)
    rows = _rows(lines, delimiter)
    header = _has_header(rows[0], options, where)
    body = rows[1:] if header else rows
    if not body:
        raise NoRatings(f"{where}: found a header and no ratings, expected at least one; check how it was written")
    names = tuple(rows[0]) if header else tuple(map(str, range(_usual_width(body))))
    _check_width(names, body, delimiter, least, where)
    columns = find_columns(names, options, where, named=header, partitions=tuple(partitions))
    columns = _without_timeless_column(columns, body, options, header=header)
    times = (
        []
        if columns.time is None or columns.time >= len(names)
        else [row[columns.time] for row in body if len(row) > columns.time]
    )
    return Layout(
        delimiter, header, names, columns,
        skip=len(_LINE_END.findall(text[: len(text) - len(text.lstrip("\r\n"))])) + 1 if header else 0,
        time_is_integer=all(re.fullmatch(r"\s*[+-]?\d+\s*|", time) for time in times),
        quoted='"' in text,
        quoting=_quotes(lines, delimiter), partitions=partitions,
    )  # fmt: skip


def _decoded(sample: bytes, where: str) -> str:
    if not sample.strip(b"\xef\xbb\xbf\r\n\t "):
        raise NoRatings(f"{where}: found an empty file, expected ratings; check how it was written")
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadRatings(f"{where}: found UTF-16 text, expected UTF-8 or Latin-1; save it as UTF-8")
    if b"\0" in sample:
        shown = sample[:8].hex(" ")
        raise BadRatings(
            f"{where}: found a binary file (it starts with {shown}), expected csv, tsv or parquet; export it"
        )
    other = next((name for start, name in _OTHER_TEXTS.items() if sample.lstrip().lower().startswith(start)), None)
    if other:
        raise BadRatings(f"{where}: found {other}, expected csv, tsv or parquet; convert it, or check the address")
    try:  # incrementally: the sample may end within a character
        return codecs.getincrementaldecoder("utf-8-sig")().decode(sample)
    except UnicodeDecodeError:
        return sample.decode("latin-1")


def _lines(text: str, where: str, *, cut: bool) -> list[str]:
    lines = _LINE_END.split(text)
    if cut:
        lines.pop()
    lines = [line for line in lines if line][:_LINES]
    if not lines:
        raise BadRatings(
            f"{where}: found a first line of more than {SAMPLE_BYTES:,} bytes, expected one rating a line; "
            f"check that it is a table of ratings and not a matrix"
        )
    return lines


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The lines' fields; quoted line ends are respected if the widths of the rows then agree better."""
    if not _quotes(lines, delimiter):
        return [line.split(delimiter) for line in lines]
    alone = [_fields([line], delimiter)[0] for line in lines]
    return max(alone, _fields([f"{line}\n" for line in lines], delimiter), key=_likeness)


def _quotes(lines: Sequence[str], delimiter: str) -> bool:
    """Whether quotation marks quote: not with ``::``, and not with tabs if a line has an odd number of them."""
    return len(delimiter) == 1 and not (delimiter == "\t" and any(line.count('"') % 2 for line in lines))


def _fields(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=delimiter)) or [[""]]
    except csv.Error:  # a field beyond the reader's limit
        return [line.split(delimiter) for line in lines]


def _least_width(partitions: Iterable[str], options: ReadOptions) -> int:
    """Columns that the file itself must have: user, item and rating, but for one that its folders name."""
    required = {"user": options.user_column, "item": options.item_column, "rating": options.rating_column}
    below = {role for role, wanted in required.items() for name in partitions
             if name == wanted or (wanted is None and known_role(name) == role)}  # fmt: skip
    return max(2, 3 - len(below))


def _likeness(rows: Sequence[Sequence[str]], least: int = 3) -> float:
    """Share of the rows that have the most frequent width; 0 if that is too narrow for ratings."""
    width = _usual_width(rows)
    return sum(len(row) == width for row in rows) / len(rows) if width >= least else 0.0


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    return Counter(map(len, rows)).most_common(1)[0][0]


def _guess_delimiter(lines: Sequence[str], least: int, where: str) -> str:
    likeness = {delimiter: _likeness(_rows(lines, delimiter), least) for delimiter in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda delimiter: likeness[delimiter])
    if likeness[best] < 0.5:
        raise BadRatings(
            f"{where}: found no delimiter that gives three columns (first line: {lines[0][:60]!r}), expected user, "
            f"item and rating separated by comma, tab, semicolon, bar or '::'; pass --delimiter"
        )
    return best


def _has_header(first: Sequence[str], options: ReadOptions, where: str) -> bool:
    if options.header is not None:
        return options.header
    requested = (options.user_column, options.item_column, options.rating_column, options.time_column)
    by_name = [wanted for wanted in requested if wanted and not str(wanted).isdecimal()]
    names = [field for field in first if known_role(field) or field.strip() in by_name]
    numbers = [field for field in first if _NUMBER.fullmatch(field)]
    if names and numbers:
        raise BadRatings(
            f"{where}: found a first line with names ({names[0]!r}) and numbers ({numbers[0]!r}), expected to know "
            f"whether it is a header; pass --set data.header=true or --set data.header=false"
        )
    return bool(names) or not numbers


def _check_width(names: Sequence[str], body: Sequence[Sequence[str]], delimiter: str, least: int, where: str) -> None:
    width = _usual_width(body)
    if len(names) < least and width < least:
        raise BadRatings(
            f"{where}: found {len(names)} column(s) separated by {delimiter!r}, expected at least user, item and "
            f"rating; pass --delimiter with the separator"
        )
    if max(len(names), width) > _WIDEST:
        raise BadRatings(
            f"{where}: found {max(len(names), width):,} columns, expected one rating a line (user, item, rating); "
            f"check that it is a table of ratings and not a matrix"
        )
    if len(names) != width:
        raise BadRatings(
            f"{where}: found {len(names)} names in the header and {width} fields in most lines, expected as many; "
            f"correct the header, or pass --delimiter"
        )


def _without_timeless_column(
    columns: Columns, body: Sequence[Sequence[str]], options: ReadOptions, *, header: bool
) -> Columns:
    """In a nameless file the fourth column is the time only if it looks like one."""
    if header or columns.time is None or columns.time >= _usual_width(body) or options.time_column is not None:
        return columns
    fields = [row[columns.time] for row in body if len(row) > columns.time]
    timelike = [field for field in fields if not field.strip() or _NUMBER.fullmatch(field) or _ISO_DATE.match(field)]
    if len(timelike) * 2 >= len(fields):
        return columns
    return Columns(columns.user, columns.item, columns.rating, None)
