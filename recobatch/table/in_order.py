"""Work on a sequence in threads, with the results in its order and few of them in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import TypeVar

_MOST_THREADS = 8
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


def map_in_order(make: Callable[[_Given], _Made], given: Iterable[_Given]) -> Iterator[tuple[_Given, _Made]]:
    """Make something of each element, on up to eight cores.

    Args:
        make: Called in threads.
        given: Read in the caller's thread, as many elements ahead as there are threads.

    Yields:
        Each element and what was made of it, in order; what ``make`` raised is raised here.
    """
    threads = min(_MOST_THREADS, cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        begun: deque = deque()
        try:
            for element in given:
                begun.append((element, pool.submit(make, element)))
                if len(begun) > threads:
                    done, made = begun.popleft()
                    yield done, made.result()
            while begun:
                done, made = begun.popleft()
                yield done, made.result()
        finally:
            for _, waiting in begun:
                waiting.cancel()
