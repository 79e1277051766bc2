"""Lists alone are checked to the last row."""

import pyarrow as pa
import pytest

from recobatch.table.list_check import ListCheck

GOOD = {"user_id": [1, 1, 3], "rank": [1, 2, 1], "item_id": [7, 8, 7], "score": [0.5, 0.5, 0.1]}


def problem(**columns):
    return ListCheck().take(pa.table({**GOOD, **columns}))


def test_good_lists_pass_block_by_block():
    check = ListCheck()
    assert check.take(pa.table(GOOD)) is None
    assert check.take(pa.table({**GOOD, "user_id": [4, 4, 5]})) is None
    assert check.take(pa.table(GOOD)).endswith("out of order, expected each user once")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"rank": [1, 3, 1]}, "other ranks than 1, 2, 3"),
        ({"rank": [0, 1, 1]}, "other ranks than 1, 2, 3"),
        ({"user_id": [3, 3, 1]}, "out of order"),
        ({"score": [0.4, 0.5, 0.1]}, "whose scores ascend"),
        ({"item_id": [7, 7, 7]}, "with an item twice"),
    ],
)
def test_says_what_is_wrong(columns, words):
    assert words in problem(**columns)
