"""The table of odd but good text files: what is given, and what it means."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.reading.text import _Narrowed
from tests.support.ingesting import HEADER, clean_rows

PLAIN = [(1, 2, 3, 4), (5, 6, 7, 8)]

ACCEPTED = {
    "plain": (HEADER + "1,2,3,4\n5,6,7,8\n", {}, PLAIN),
    "no header": ("1,2,3,4\n5,6,7,8\n", {}, PLAIN),
    "no end of the last line": (HEADER + "1,2,3,4\n5,6,7,8", {}, PLAIN),
    "BOM": ("\ufeff" + HEADER + "1,2,3,4\n5,6,7,8\n", {}, PLAIN),
    "BOM and no header": ("\ufeff1,2,3,4\n5,6,7,8\n", {}, PLAIN),
    "CRLF": (HEADER.strip() + "\r\n1,2,3,4\r\n5,6,7,8\r\n", {}, PLAIN),
    "bare carriage returns": (HEADER.strip() + "\r1,2,3,4\r5,6,7,8\r", {}, PLAIN),
    "blank lines": ("\n\n" + HEADER + "\n1,2,3,4\n\n5,6,7,8\n\n", {}, PLAIN),
    "tabs": ("1\t2\t3\t4\n5\t6\t7\t8\n", {}, PLAIN),
    "semicolons": ("1;2;3;4\n5;6;7;8\n", {}, PLAIN),
    "bars": ("1|2|3|4\n5|6|7|8\n", {}, PLAIN),
    "double colons": ("1::2::3::4\n5::6::7::8\n", {}, PLAIN),
    "blanks": ("1 2 3 4\n5 6 7 8\n", {}, PLAIN),
    "a delimiter of one's own": ("1^2^3^4\n5^6^7^8\n", {"delimiter": "^"}, PLAIN),
    "a spelled-out tab": ("1\t2\t3\t4\n5\t6\t7\t8\n", {"delimiter": "\\t"}, PLAIN),
    "other names": ("Movie ID,when,STARS,uid\n2,4,3,1\n6,8,7,5\n", {"time_column": "when"}, PLAIN),
    "Book-Crossing's names": (
        '"User-ID";"ISBN";"Book-Rating"\n"1";"034545104X";"3"\n', {}, [(1, "034545104X", 3, None)]),
    "names given": ("a,b,c,d\n1,2,3,4\n5,6,7,8\n",
                    {"user_column": "a", "item_column": "b", "rating_column": "c", "time_column": "d"}, PLAIN),
    "positions given": ("3,1,2,4\n7,5,6,8\n", {"user_column": 1, "item_column": "2", "rating_column": 0}, PLAIN),
    "RecBole's names": (
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t3\t4\n5\t6\t7\t8\n", {}, PLAIN),
    "more columns": ("title,userId,x,movieId,rating,timestamp\n\"a, b\",1,,2,3,4\nc,5,,6,7,8\n", {}, PLAIN),
    "quoted line ends": ("user,item,rating,time,title\n1,2,3,4,\"a\nb\"\n5,6,7,8,\"c\r\nd\"\n", {}, PLAIN),
    "spaces around": (HEADER + " 1 , 2 , 3 , 4 \n5,6,7,8\n", {}, PLAIN),
    "a numeric header that is none": ("1,2,3,4\n5,6,7,8\n", {"header": False}, PLAIN),
    "no time": ("user,item,rating\n1,2,3\n", {}, [(1, 2, 3, None)]),
    "time not to be read": (HEADER + "1,2,3,soon\n", {"time_column": ""}, [(1, 2, 3, None)]),
    "a fourth column that is no time": ("1,2,3,great film\n5,6,7,so so\n", {}, [(1, 2, 3, None), (5, 6, 7, None)]),
    "missing times": (HEADER + "1,2,3,\n5,6,7,8\n9,9,9,NULL\n", {}, [(1, 2, 3, None), (5, 6, 7, 8), (9, 9, 9, None)]),
    "future times": (HEADER + "1,2,3,32503680000\n", {}, [(1, 2, 3, 32_503_680_000)]),
    "times before 1970": (HEADER + "1,2,3,-86400\n", {}, [(1, 2, 3, -86_400)]),
    "fractions of seconds": (HEADER + "1,2,3,4.9\n5,6,7,8.0\n", {}, PLAIN),
    "milliseconds": (HEADER + "1,2,3,881250949123\n", {}, [(1, 2, 3, 881_250_949)]),
    "microseconds": (HEADER + "1,2,3,881250949123456\n", {}, [(1, 2, 3, 881_250_949)]),
    "nanoseconds": (HEADER + "1,2,3,881250949123456789\n", {}, [(1, 2, 3, 881_250_949)]),
    "a time of another unit among seconds": (
        HEADER + "1,2,3,881250949\n2,2,3,881250949\n3,2,3,881250949000\n", {},
        [(1, 2, 3, 881_250_949), (2, 2, 3, 881_250_949), (3, 2, 3, 881_250_949_000)]),
    "ISO times": (HEADER + "1,2,3,1997-12-04T15:55:49Z\n5,6,7,1997-12-04 15:55:49.9+00:00\n8,8,8,1997-12-04\n", {},
                  [(1, 2, 3, 881_250_949), (5, 6, 7, 881_250_949), (8, 8, 8, 881_193_600)]),
    "times with zones": (HEADER + "1,2,3,1997-12-04T16:55:49+01:00\n", {}, [(1, 2, 3, 881_250_949)]),
    "quoted commas": (HEADER + '"a,b","c,""d""",3,4\n', {}, [("a,b", 'c,"d"', 3, 4)]),
    "ids with spaces": (HEADER + "ann b, c  d ,3,4\n", {}, [("ann b", "c  d", 3, 4)]),
    "unicode ids": (HEADER + "žluťoučký,映画 😀,3,4\n", {}, [("žluťoučký", "映画 😀", 3, 4)]),
    "latin-1 ids": ((HEADER + "zoé,Misérables,3,4\n").encode("latin-1"), {}, [("zoé", "Misérables", 3, 4)]),
    "leading zeros stay": (HEADER + "007,1,3,4\n8,2,3,4\n", {}, [("007", 1, 3, 4), ("8", 2, 3, 4)]),
    "signs stay": (HEADER + "+7,-0,3,4\n", {}, [("+7", "-0", 3, 4)]),
    "negative and zero ids": (HEADER + "-5,0,3,4\n", {}, [(-5, 0, 3, 4)]),
    "the largest integers": (HEADER + f"{2**63 - 1},{-2**63},3,4\n", {}, [(2**63 - 1, -(2**63), 3, 4)]),
    "ids beyond int64": (HEADER + f"{2**63},{-2**63 - 1},3,4\n", {}, [(str(2**63), str(-(2**63) - 1), 3, 4)]),
    "mixed id types": (HEADER + "1,2,3,4\nann,3,3,4\n", {}, [("1", 2, 3, 4), ("ann", 3, 3, 4)]),
    "a formula as an id": (HEADER + "=1+1,@SUM(A1),3,4\n", {}, [("=1+1", "@SUM(A1)", 3, 4)]),
    "a path as an id": (HEADER + "../../etc/passwd,a/b,3,4\n", {}, [("../../etc/passwd", "a/b", 3, 4)]),
    "a null that is meant": (HEADER + '"null","NA",3,4\n', {}, [("null", "NA", 3, 4)]),
    "a stray quotation mark": (HEADER + '7" single,12" mix,3,4\n', {}, [('7" single', '12" mix', 3, 4)]),
    "a quotation mark between tabs": ('1\t"2\t3\t4\n5\t6\t7\t8\n', {}, [(1, '"2', 3, 4), (5, "6", 7, 8)]),
    "single colons between double ones": ("a:b::2::3::4\n:c::6::7::8\n", {}, [("a:b", 2, 3, 4), (":c", 6, 7, 8)]),
    "one rating": (HEADER + "1,2,3,4\n", {}, [(1, 2, 3, 4)]),
    "one user": (HEADER + "1,2,3,4\n1,6,3,8\n", {}, [(1, 2, 3, 4), (1, 6, 3, 8)]),
    "exponents": (HEADER + "1,2,3e-1,4\n5,6,+7,8e0\n", {}, [(1, 2, np.float32(0.3), 4), (5, 6, 7, 8)]),
    "negative ratings": (HEADER + "1,2,-9.5,4\n", {}, [(1, 2, -9.5, 4)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ACCEPTED)
def test_is_read_as_it_was_meant(kind, tmp_path):
    content, read, rows = ACCEPTED[kind]
    assert clean_rows(tmp_path, content, **read) == rows


@given(st.text("a:", max_size=30), st.integers(1, 5))
def test_double_colons_become_one_character_whatever_the_read_size(text, size):
    stream = _Narrowed(io.BytesIO(text.encode()), b"::")
    chunks = iter(lambda: stream.read(size), b"")
    assert b"".join(chunks).decode() == text.replace("::", "\x1f")
