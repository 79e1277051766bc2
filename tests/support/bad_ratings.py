"""Ratings that are refused: what is given, how it is read, and what one line then says."""

import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

HEADER = b"user,item,rating,time\n"
ROWS = b"".join(b"%d,%d,%d,%d\n" % (n % 7, n, 1 + n % 5, 900_000_000 + n) for n in range(40))
GOOD = HEADER + ROWS


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def zipped(**members):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def patched_zip(flags=0, method=zipfile.ZIP_DEFLATED):
    """A zip with other flags and another method in both of its headers than it has."""
    content = bytearray(zipped(a=GOOD))
    directory = content.index(b"PK\x01\x02")
    for place, value in ((6, flags), (8, method), (directory + 8, flags), (directory + 10, method)):
        content[place : place + 2] = value.to_bytes(2, "little")
    return bytes(content)


def second_damaged(pack):
    """Two streams, of which the second has a flipped bit near its begin."""
    first, second = pack(GOOD), bytearray(pack(ROWS))
    second[20] ^= 1
    return first + bytes(second)


def not_utf8(*values):
    """A column of strings that nobody has checked."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


def packed(codec, content):
    return pa.compress(content, codec=codec, asbytes=True)


def column(values, kind=None):
    return pa.array(values, kind)


ONE, TWO = column([1, 2]), column([3, 4])
BIG = b"".join(b"%d,%d,%d\n" % (n, n * 7919 % 10_007, n % 5) for n in range(20_000))

REFUSED = {
    "empty file": (b"", {}, "found an empty file"),
    "blank lines only": (b"\n\r\n  \n", {}, "found an empty file"),
    "header only": (HEADER, {}, "found a header and no ratings, expected at least one"),
    "header and blank lines": (HEADER + b"\n\n", {}, "found a header and no ratings"),
    "no delimiter": (b"user item\n1 2\n", {}, "found no delimiter that gives three columns (first line: 'user item')"),
    "wrong delimiter": (GOOD, {"delimiter": ";"}, "found 1 column(s) separated by ';'"),
    "two columns": (b"user,item\n1,2\n", {}, "expected user, item and rating separated by comma"),
    "UTF-16": ("user,item,rating\n1,2,3\n".encode("utf-16"), {}, "found UTF-16 text, expected UTF-8"),
    "binary": (b"\x89HDF\r\n\x1a\n\0\0\0\0", {}, "found a binary file (it starts with 89 48 44 46"),
    "pickle": (b"\x80\x04\x95\x0f\0\0\0\0\0\0\0\x8c", {}, "found a binary file"),
    "JSON lines": (b'{"user": 1, "item": 2, "rating": 3}\n', {}, "found JSON, expected csv, tsv or parquet"),
    "a web page": (b"<!DOCTYPE html>\n<p>a,b,c</p>", {}, "found a web page"),
    "Excel": (zipped(**{"[Content_Types].xml": "", "xl/a.xml": ""}), {}, "found an Excel workbook"),
    "zip of two": (
        zipped(**{"a.csv": GOOD, "b.csv": GOOD}), {},
        "found a zip with 2 files (a.csv, b.csv), expected one",
    ),
    "damaged zip": (zipped(a=GOOD)[:-30], {}, "found a damaged or cut-off compressed file"),
    "gzip that is cut off": (gzip.compress(BIG)[:-2_000], {}, "found a damaged or cut-off compressed file"),
    "gzip with a flipped bit": (
        gzip.compress(BIG)[:2_000] + b"\xff\xff" + gzip.compress(BIG)[2_002:], {}, "damaged or cut-off compressed file",
    ),
    "bz2 that is cut off": (bz2.compress(BIG)[:-200], {}, "found a damaged or cut-off compressed file"),
    "xz that is cut off": (lzma.compress(BIG)[:-2_000], {}, "found a damaged or cut-off compressed file"),
    "zstd that is cut off": (packed("zstd", BIG)[:-2_000], {}, "found a damaged or cut-off compressed file"),
    "gzip with a flipped bit in its second member": (
        second_damaged(gzip.compress), {}, "found a damaged or cut-off compressed file",
    ),
    "bz2 with a flipped bit in its second stream": (
        second_damaged(bz2.compress), {}, "found a damaged or cut-off compressed file",
    ),
    "xz with a flipped bit in its second stream": (
        second_damaged(lzma.compress), {}, "found a damaged or cut-off compressed file",
    ),
    "a zip with a password": (
        patched_zip(flags=1), {}, "found a zip that cannot be unpacked here (File 'a' is encrypted, password required",
    ),
    "a zip of an unknown method": (
        patched_zip(method=99), {},
        "found a zip that cannot be unpacked here (That compression method is not supported), expected a whole one",
    ),
    "gzip that grows beyond the limit": (
        gzip.compress(BIG), {"max_bytes": 100_000}, "found more than 100,000 bytes in a compressed file of",
    ),
    "parquet that grows beyond the limit": (
        parquet(user=column([7] * 10_000), item=column(["a"] * 10_000), rating=column([3.0] * 10_000)),
        {"max_bytes": 100_000}, "found 10,000 rows of",
    ),
    "missing column": (
        b"user,rating,time\n1,2,3\n", {}, "found no column for the item among 'user', 'rating', 'time'",
    ),
    "unknown columns": (
        b"a,b,c\nx,y,z\n", {},
        "found no column for the user and the item and the rating among 'a', 'b'",
    ),
    "two columns for the item": (
        b"user,item,movieId,rating\n1,2,3,4\n", {}, "found 2 columns that could be the item ('item', 'movieId')",
    ),
    "one name twice": (b"user,item,rating,rating\n1,2,3,4\n", {}, "found 2 columns that could be the rating"),
    "no such column": (GOOD, {"item_column": "film"}, "found no column 'film' among 'user', 'item', 'rating', 'time'"),
    "no such position": (ROWS, {"item_column": 9}, "found no column 9 among 4 columns without names"),
    "one column for two": (GOOD, {"item_column": "user"}, "found column 'user' as both user and item"),
    "header of another width": (b"user,item,rating\n1,2,3,4\n", {}, "found 3 names in the header and 4 fields"),
    "names and numbers at once": (
        b"user,7,5\n1,2,3\n", {}, "found a first line with names ('user') and numbers ('7')",
    ),
    "a million columns": (b",".join([b"1"] * 1_000_000) + b"\n", {}, "first line of more than 1,048,576 bytes"),
    "a matrix": (b"\n".join([b",".join([b"1"] * 20_000)] * 3), {}, "found 20,000 columns, expected one rating a line"),
    "a line without end": (GOOD + b"1," * (1 << 25), {}, "that no line exceeds 8,388,608 bytes"),
    "ragged rows": (
        GOOD + b"1,2,3\n1,2,3,4,5\n" * 2, {},
        "4 of 44 ratings cannot be used (4 unreadable; first: line 42 is '1,2,3'), expected at most 5 % of them",
    ),
    "null ids": (HEADER + b",1,2,3\n1,,2,3\nNULL,1,2,3\n", {}, "(3 null; first: line 2, null, has item_id '1'"),
    "null ratings": (HEADER + b"1,1,,3\n2,1,\\N,3\n", {}, "2 of 2 ratings cannot be used (2 null"),
    "null ids with blanks around them": (
        HEADER + b" NULL,1,2,3\n1, nan ,2,3\n2,1, None,3\n", {}, "(3 null; first: line 2, null, has user_id ' NULL'",
    ),
    "nan ids beside quoted ones": (
        HEADER + b'"nan",1,2,3\nnan,2,2,3\n', {}, "(1 null; first: line 3, null, has item_id '2'",
    ),
    "NaN": (HEADER + b"1,1,NaN,3\n2,1,nan,3\n", {}, "2 non_finite; first: line 2, non_finite, has user_id '1'"),
    "infinity": (HEADER + b"1,1,inf,3\n2,1,-inf,3\n3,1,1e300,3\n", {}, "3 non_finite"),
    "ratings beyond 1e9": (
        HEADER + b"1,1,1e30,3\n1,2,-1e30,3\n2,1,2e30,3\n", {},
        "(3 too_large; first: line 2, too_large, has user_id '1', item_id '1', rating '1e+30'",
    ),
    "text ratings": (HEADER + b"1,1,good,3\n2,1,bad,3\n", {}, "rating 'good', timestamp '3'"),
    "decimal commas": (b"user;item;rating\n1;2;3,5\n", {}, "rating '3,5'"),
    "another time format": (HEADER + b"1,1,3,24.12.1999\n", {}, "timestamp '24.12.1999'"),
    "out of the range": (
        GOOD, {"rating_range": (1, 4)}, "(8 out_of_range; first: line 6, out_of_range, has user_id '4', item_id '4'",
    ),
    "all duplicates": (HEADER + b"1,1,3,5\n" * 50, {}, "49 of 50 ratings cannot be used (49 duplicate; first: line 2"),
    "an id with a line's end": (b'user,item,rating\n1,"a\nb",3\n', {}, "1 unreadable"),
    "several reasons": (
        GOOD + b",1,2,3\n1,1,x,3\n1,7,nan,3\n", {}, "(1 unreadable, 1 null, 1 non_finite; first: line 42, null,",
    ),
    "damaged parquet": (parquet(user=ONE, item=TWO, rating=TWO)[:-5], {}, "found a damaged parquet file"),
    "parquet that is cut off": (parquet(user=ONE, item=TWO, rating=TWO)[:40], {}, "found a damaged parquet file"),
    "parquet without rows": (
        parquet(user=column([], pa.int64()), item=column([], pa.int64()), rating=column([], pa.float32())), {},
        "found columns and no ratings",
    ),
    "parquet without a column": (
        parquet(user=ONE, rating=TWO), {},
        "found no column for the item among 'user', 'rating'",
    ),
    "fractional ids": (
        parquet(user=column([1.5, 2.0]), item=TWO, rating=TWO), {},
        "found the id 1.5 in column 'user', expected integers",
    ),
    "ids in two encodings in parquet": (
        parquet(user=not_utf8(b"zo\xe9", "zoé".encode()), item=TWO, rating=TWO), {},
        "(1 unreadable; first: row 1, unreadable, has user_id 'zoé', item_id '3'",
    ),
    "ratings that are not UTF-8 in parquet": (
        parquet(user=ONE, item=TWO, rating=not_utf8(b"3\xff", b"4")), {}, "first: row 1, unreadable, has user_id '1'",
    ),
    "lists as ids": (
        parquet(user=column([[1], [2]]), item=TWO, rating=TWO), {},
        "found ids of type list<element: int64> in column 'user'",
    ),
    "truth values as ratings": (
        parquet(user=ONE, item=TWO, rating=column([True, False])), {}, "found ratings of type bool in column 'rating'",
    ),
    "lists as ratings": (
        parquet(user=ONE, item=TWO, rating=column([[1.0], []])), {}, "found ratings of type list<element: double>",
    ),
    "durations as times": (
        parquet(user=ONE, item=TWO, rating=TWO, time=column([1, 2], pa.duration("s"))), {},
        "found times of type duration[s], expected numbers, timestamps or ISO 8601 texts",
    ),
    "infinite times": (HEADER + b"1,1,3,inf\n", {}, "1 unreadable; first: line 2"),
    "nothing but nulls": (
        parquet(user=pa.nulls(2), item=TWO, rating=TWO), {}, "2 null; first: row 1, null, has item_id '3', rating '3'",
    ),
    "text ratings in parquet": (
        parquet(user=ONE, item=TWO, rating=column(["x", "4"])), {}, "first: row 1, unreadable, has user_id '1'",
    ),
}  # fmt: skip
