"""Work that threads share."""

import threading

import pytest

from recobatch.bayesian.threads import threads


@pytest.mark.parametrize("number", [1, 3])
def test_each_piece_is_worked_once(number):
    done, lock = [], threading.Lock()

    def work(piece):
        with lock:
            done.append(piece)

    with threads(number) as pool:
        pool.each(work, range(500))
    assert sorted(done) == list(range(500))


@pytest.mark.parametrize("number", [1, 3])
def test_after_an_error_nothing_more_is_begun(number):
    begun = []

    def work(piece):
        begun.append(piece)
        raise ValueError(piece)

    with threads(number) as pool, pytest.raises(ValueError, match=r"\d"):
        pool.each(work, range(500))
    assert len(begun) <= number
