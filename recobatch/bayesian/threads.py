"""Threads for work that is divided the same way whatever their number, so that results do not depend on it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

_T = TypeVar("_T")
_ROWS = 512


@dataclass(frozen=True)
class Threads:
    """A pool; each piece of work writes to its own rows."""

    pool: ThreadPoolExecutor | None
    number: int = 1

    def product(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """``left @ right`` by blocks of the rows of ``left``, float32."""
        out = np.empty((len(left), right.shape[1]), dtype=np.float32)

        def multiply(start: int) -> None:
            np.matmul(left[start : start + _ROWS], right, out=out[start : start + _ROWS])

        self.each(multiply, range(0, len(left), _ROWS))
        return out

    def batched(self, matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """``matrices[n] @ vectors[n]`` for each n: float32, shape ``(n, d)``."""
        out = np.empty_like(vectors)

        def multiply(start: int) -> None:
            rows = slice(start, start + _ROWS)
            out[rows] = np.matmul(matrices[rows], vectors[rows, :, None])[..., 0]

        self.each(multiply, range(0, len(vectors), _ROWS))
        return out

    def each(self, work: Callable[[_T], None], pieces: Iterable[_T]) -> None:
        """Call ``work`` for each piece and wait; raises what a call raised."""
        waiting = iter(list(pieces))  # shared by the threads: a future for each piece costs more than a small piece

        def work_off() -> None:
            for piece in waiting:
                work(piece)

        if self.pool is None:
            work_off()
            return
        running = [self.pool.submit(work_off) for _ in range(self.number)]
        try:
            for each in running:
                each.result()
        finally:
            for _ in waiting:  # after an error or an interrupt nothing more is begun
                pass
            wait(running)


@contextmanager
def threads(number: int) -> Iterator[Threads]:
    """A pool of ``number`` threads, while BLAS itself uses one: its own split of sums depends on their number."""
    with threadpool_limits(1, user_api="blas"):
        if number == 1:
            yield Threads(None)
            return
        with ThreadPoolExecutor(number, thread_name_prefix="bayesian") as pool:
            yield Threads(pool, number)
