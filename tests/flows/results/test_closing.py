"""What is printed at the end of a batch."""

from io import StringIO

import pytest

from flows.results.closing import print_closing
from flows.results.summary import BatchSummary, DataSummary


@pytest.mark.parametrize(
    ("timings", "shown"),
    [
        ({"score": 2.0, "publish": 1.0}, "score 2.00, publish 1.00, others 1.50"),
        ({"a": 4.0, "b": 2.0}, "a 4.00, b 2.00"),
    ],
)
def test_the_seconds_that_no_stage_covers_are_printed_unless_stages_ran_beside_each_other(timings, shown):
    summary = BatchSummary(
        "b1", "explicit_mf", data=DataSummary(ratings=3, users=2, items=2), models={}, timings=timings, seconds=4.5
    )
    print_closing(summary, out := StringIO())
    assert f"4.5 s: {shown}\n" in out.getvalue()
