"""The few items of a user whose interest times expected rating may be among the best, by a bound without exponentials.

In one call for a block of users, of a kernel in WebAssembly: it needs no compiler where recobatch is installed, and no
cache of what was compiled, as wasmtime takes milliseconds.
"""

import atexit
import ctypes
import math
import mmap
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from threading import local
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from recobatch.factors import FactorModel, Link

if TYPE_CHECKING:
    import wasmtime

MANY_ITEMS = 4096
"""With fewer, all products take less time than loading wasmtime."""
_ITEMS_PER_K = 16
"""With fewer, most groups of items would be single ones."""
_GROUPS = 512
"""Of items, at least; four times ``k`` where that is more."""
_ROOM = 4
"""Candidates a user has room for, times ``k``; more are seldom found."""
_MOST_BYTES = (1 << 32) - (1 << 20)
_KEPT = local()
"""Has the last pruner of a thread: the page faults of a new memory take a tenth of the time of all lists."""
_PARAMETERS_BYTES = 128
_STEP_BYTES = 64
"""Of scores, which the kernel takes at once; it may read as many beyond the last."""
# The tangent of the sigmoid at 1 is _SLOPE * (x + e). It is above the sigmoid from -2.2 on, and it is 1 at 2 + 1 / e.
_SLOPE = np.float32(math.e / (1 + math.e) ** 2)
_ROUNDING = np.float32(1 + 1e-5)
"""Covers the rounding errors of a bound and a product together."""
_BOUND = """(f32x4.mul
  (v128.load offset={0} (local.get $interest))
  (f32x4.add (local.get $offset)
    (f32x4.pmin (f32x4.pmax (v128.load offset={0} (local.get $raw)) (local.get $lowest)) (local.get $highest))))"""


class Bound(NamedTuple):
    """An item's product is at most ``slope * interest * (min(max(raw, lowest), highest) + offset)``."""

    lowest: np.float32
    highest: np.float32
    offset: np.float32
    share: np.float32
    """Of the ``k``-th best bound, assumed to be reached by ``k`` products. Where they do not reach it, nothing is known
    of a user; a lower share makes that rarer and leaves more candidates."""
    slope: np.float32
    """With allowance for rounding."""

    @classmethod
    def of(cls, rating: FactorModel, k: int) -> Self:
        """Of products in units of the rating range with a sigmoid; with the identity the product itself."""
        if rating.link is Link.SCALED_SIGMOID:
            highest = np.float32(2 + 1 / math.e)
            return cls(np.float32(-2.2), highest, np.float32(math.e), np.float32(_share(k)), _SLOPE * _ROUNDING)
        low = np.float32(rating.min_rating)
        return cls(low, np.float32(rating.max_rating), -low, np.float32(1), np.float32(1))


def _share(k: int) -> float:
    return 0.95 if k >= 50 else 0.9  # measured: of fewer than 50 products, the last varies more


class Pruned(NamedTuple):
    """Candidates of a block of users: a row each, whose places after the candidates mean nothing."""

    counts: np.ndarray
    """Candidates of each user: int64, shape ``(n,)``."""
    item: np.ndarray
    """int32, ascending within a user, shape ``(n, width)``."""
    raw: np.ndarray
    """float32, of the same shape; a copy, as all of these."""
    interest: np.ndarray
    least: np.ndarray
    """The product that no other item of a user exceeds: float32, shape ``(n,)``. Infinite where it is not known."""


@dataclass(frozen=True, eq=False)
class Pruner:
    """The memory of a kernel, with the blocks of scores that it looks through. For one thread."""

    blocks: list[np.ndarray]
    """float32, shape ``(n_users, n_items)`` each."""
    k: int
    _store: "wasmtime.Store"
    _find: "wasmtime.Func"
    _memory: np.ndarray
    _places: dict[str, int]
    """Of the kernel's other arrays, in bytes."""

    @classmethod
    def of(cls, n_items: int, k: int, n_users: Sequence[int]) -> Self | None:
        """Make room for blocks of scores; None if items are few, or too many for the memory that can be had.

        Args:
            n_items: Of every block.
            k: Items wanted of each user.
            n_users: Rows of each block. Those of a call are at most the fewest.
        """
        if n_items < max(MANY_ITEMS, _ITEMS_PER_K * k):
            return None
        wanted = (n_items, k, *n_users)
        if getattr(_KEPT, "made_for", None) != wanted:
            _KEPT.pruner, _KEPT.made_for = cls._new(n_items, k, n_users), wanted
        return _KEPT.pruner

    @classmethod
    def _new(cls, n_items: int, k: int, n_users: Sequence[int]) -> Self | None:
        fewest, found = min(n_users), min(n_users) * _ROOM * k * 4
        arrays = {"parameters": _PARAMETERS_BYTES, "maxima": _groups(k) * 4, "counts": fewest * 4, "least": fewest * 4}
        arrays |= {"item": found, "raw": found, "interest": found, "masks": n_items // 8}
        arrays |= {f"block {n}": rows * n_items * 4 for n, rows in enumerate(n_users)}
        places, size = {}, 0
        for name, n_bytes in arrays.items():
            places[name], size = size, size + (n_bytes // _STEP_BYTES + 2) * _STEP_BYTES
        if size > _MOST_BYTES:
            return None
        made = _instantiate(size)
        if made is None:
            return None
        blocks = [_array(made[2], places[f"block {n}"], "f4", (rows, n_items)) for n, rows in enumerate(n_users)]
        return cls(blocks, k, *made, places)

    def candidates(self, raw: np.ndarray, interest: np.ndarray, bound: Bound) -> Pruned:
        """Find all items that may be among the best.

        Args:
            raw: Scores of the rating model before its link: consecutive rows of one of the blocks.
            interest: As many rows of another, minus infinity for excluded items.
            bound: Of the products.
        """
        self._ask(raw, interest, bound)
        self._find(self._store)
        return self._answer(len(raw), bound)

    def _ask(self, raw: np.ndarray, interest: np.ndarray, bound: Bound) -> None:
        """Write the parameters of the kernel: fourteen numbers, then four of the bound."""
        (n, n_items), at = raw.shape, self._places
        words = _array(self._memory, at["parameters"], "u4", (18,))
        words[:14] = (
            _place(raw, self._memory), _place(interest, self._memory), n, n_items * 4, self.k,
            at["maxima"], at["maxima"] + _groups(self.k) * 4, at["counts"], at["least"],
            at["item"], at["raw"], at["interest"], _ROOM * self.k * 4, at["masks"],
        )  # fmt: skip
        words[14:].view(np.float32)[:] = bound[:4]

    def _answer(self, n: int, bound: Bound) -> Pruned:
        at, room = self._places, _ROOM * self.k
        counts = _array(self._memory, at["counts"], "i4", (n,)).astype(np.int64)
        width = min(int(counts.max()), room)
        item, raw, interest = (
            _array(self._memory, at[name], kind, (n, room))[:, :width].copy()
            for name, kind in (("item", "i4"), ("raw", "f4"), ("interest", "f4"))
        )
        least = _array(self._memory, at["least"], "f4", (n,)) * bound.slope
        least[counts > width] = np.inf
        return Pruned(counts, item, raw, interest, least)


def _groups(k: int) -> int:
    """Number of groups: a multiple of the sixteen items that the kernel takes at once."""
    return max(_GROUPS, -(-4 * k // 16) * 16)


def _place(block: np.ndarray, memory: np.ndarray) -> int:
    start: int = block.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    return start


def _array(memory: np.ndarray, place: int, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    return memory[place : place + math.prod(shape) * 4].view(kind).reshape(shape)


@cache
def _module() -> "tuple[wasmtime.Engine, wasmtime.Module]":
    import wasmtime  # 50 ms, which small tables and look-ups do without

    text = files("recobatch.scoring").joinpath("candidates.wat").read_text()
    source = re.sub(r"\(bound (\d+)\)", lambda found: _BOUND.format(found[1]), text)
    engine = wasmtime.Engine()
    atexit.register(_forget)
    return engine, wasmtime.Module(engine, source)


def _forget() -> None:
    """Free what is kept while wasmtime is still there to do it: at the end of Python it may be gone first."""
    vars(_KEPT).clear()
    _module.cache_clear()


def _instantiate(size: int) -> "tuple[wasmtime.Store, wasmtime.Func, np.ndarray] | None":
    """A kernel and its memory of at least ``size`` bytes, zeros; None where the system does not give as much."""
    import wasmtime

    module = _module()
    store = wasmtime.Store(module[0])
    try:
        exports = wasmtime.Instance(store, module[1], []).exports(store)
        memory, find = exports["memory"], exports["find"]
        memory.grow(store, -(-size >> 16))
    except wasmtime.WasmtimeError:
        return None  # a limit of address space, of which every such memory reserves 4 GiB
    array = np.frombuffer(memory.get_buffer_ptr(store), dtype=np.uint8)
    if sys.platform == "linux":  # large pages, as NumPy asks for its own arrays; without them lists take 4 % longer
        place = ctypes.c_void_p(array.__array_interface__["data"][0])
        ctypes.CDLL(None).madvise(place, ctypes.c_size_t(array.size), mmap.MADV_HUGEPAGE)
    return store, find, array
