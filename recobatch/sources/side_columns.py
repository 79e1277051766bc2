"""One column of a side table → a block of features, or the reason why it is left out."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recobatch.features import FeatureBlock

_BINS = 10
_FEW_NUMBERS = 12
"""Numbers with at most so many distinct values, none of them rare, are categories."""
_MOST_CATEGORIES = 1000
_NEARLY_UNIQUE = 0.5
"""Distinct values over filled rows from which a column of texts says nothing about other rows."""
_TEXT_LENGTH = 40
_RARE = 3
"""Values of fewer rows than this are not features."""
_LIST_SHARE = 0.1
_PEOPLE = re.compile(
    r"(first|last|full|user|real|sur|nick)_?-?name|^name$|e?mail|phone|address|actors?|directors?|cast|authors?|"
    r"writers?|stars?$",
    re.IGNORECASE,
)
_ZIP = re.compile(r"zip|post(al)?_?code", re.IGNORECASE)
_DATE = re.compile(r"(?:\d{1,2}-[A-Za-z]{3}-)?(\d{4})(?:-\d\d-\d\d.*)?")


@dataclass(frozen=True)
class Column:
    """A column, aligned to the vocabulary."""

    name: str
    values: Sequence[Any]
    """None where there is no value or no row."""
    is_flags: bool = False
    """Whether it was joined from columns of zeros and ones."""


def build_block(column: Column) -> tuple[FeatureBlock | None, str | None, str]:
    """Features of a column.

    Returns:
        The block, how the column was taken (``categories``, ``numbers`` or ``lists``), and how many features it has;
        or None twice, and why it was left out.
    """
    filled = [value for value in column.values if value is not None and value != []]
    if not filled:
        return None, None, "empty"
    if _PEOPLE.search(column.name):
        return None, None, "names or contact data of people"
    if column.is_flags or any(isinstance(value, list) for value in filled):
        return _lists(column.name, [list(map(str, value)) if value else [] for value in column.values])
    numbers = _numbers(column)
    if numbers is not None:
        return _binned(column.name, numbers)
    texts = [None if value is None else str(value).strip() for value in column.values]
    if sum(parse_list(text) is not None for text in texts if text) > _LIST_SHARE * len(filled):
        return _lists(column.name, [parse_list(text) or [text] if text else [] for text in texts])
    return _categories(column.name, texts)


def build_block_like(column: Column, fitted: FeatureBlock) -> FeatureBlock:
    """The features of a column in the bins, categories or parts of another block; values that it lacks have none."""
    numbers = _numbers(column)
    if fitted.names[0].startswith("<") and fitted.names[-1].startswith(">="):
        limits = [float(name.rpartition("–")[2]) for name in fitted.names[1:-1]]
        edges = np.array([float(fitted.names[0][1:]), *limits])
        found = [[] if np.isnan(number) else [np.searchsorted(edges, number, side="right")]
                 for number in (np.full(len(column.values), np.nan) if numbers is None else numbers)]  # fmt: skip
        rows = [[fitted.names[at] for at in row] for row in found]
    else:
        rows = [_parts(column, value) for value in column.values]
        if numbers is not None:
            rows = [parts if np.isnan(number) else [*parts, f"{number:g}"]
                    for parts, number in zip(rows, numbers, strict=True)]  # fmt: skip
    known = set(fitted.names)
    return _block(fitted.name, [sorted(known & set(row)) for row in rows], list(fitted.names))


def _parts(column: Column, value: Any) -> list[str]:  # noqa: ANN401 - a cell of any type
    """What a cell may be as categories or parts of a list."""
    if value is None:
        return []
    if isinstance(value, list):
        return [str(part) for part in value]
    text = str(value).strip()
    return parse_list(text) or [text[:1] if _ZIP.search(column.name) else text]


def parse_list(text: str) -> list[str] | None:
    """The parts of ``a|b``, ``["a", "b"]`` or ``['a', 'b']``; None for anything else."""
    if text.startswith("[") and text.endswith("]"):
        try:
            found = json.loads(text)
        except ValueError:
            found = [part.strip().strip("'\"") for part in text[1:-1].split(",")]
        return [str(part).strip() for part in found if str(part).strip()]
    return [part.strip() for part in text.split("|") if part.strip()] if "|" in text else None


def _numbers(column: Column) -> np.ndarray | None:
    """The values as numbers, dates as their year, NaN where missing; None if they are no numbers."""
    if _ZIP.search(column.name):
        return None
    numbers = np.full(len(column.values), np.nan)
    for row, value in enumerate(column.values):
        if value is None:
            continue
        try:
            numbers[row] = float(value)
        except (TypeError, ValueError):
            date = _DATE.fullmatch(str(value).strip())
            if date is None:
                return None
            numbers[row] = float(date[1])
    return numbers if np.isfinite(numbers).any() else None


def _binned(name: str, numbers: np.ndarray) -> tuple[FeatureBlock | None, str | None, str]:
    known = np.flatnonzero(np.isfinite(numbers))
    values, counts = np.unique(numbers[known], return_counts=True)
    if len(values) == 1:
        return None, None, "constant"
    if len(values) == len(known) and len(values) > 100 and np.ptp(values) == len(values) - 1:
        return None, None, "numbers the rows"
    if len(values) <= _FEW_NUMBERS and counts.min() >= _RARE:
        return _categories(name, [None if np.isnan(number) else f"{number:g}" for number in numbers])
    edges = np.unique(np.quantile(numbers[known], np.arange(1, _BINS) / _BINS))
    edges = edges[edges > values[0]]
    bins = np.searchsorted(edges, numbers[known], side="right")
    limits = [f"{edge:g}" for edge in edges]
    names = [f"<{limits[0]}", *(f"{low}–{high}" for low, high in itertools.pairwise(limits)),
             f">={limits[-1]}"]  # fmt: skip
    rows: list[list[str]] = [[] for _ in numbers]
    for row, number in zip(known, bins, strict=True):
        rows[row] = [names[number]]
    return _block(name, rows, names), "numbers", f"numbers in {len(names)} bins"


def _categories(name: str, texts: list[str | None]) -> tuple[FeatureBlock | None, str | None, str]:
    if _ZIP.search(name):
        texts = [text[:1] if text else None for text in texts]  # the first character is a region
    counts = Counter(text for text in texts if text)
    filled = sum(counts.values())
    if len(counts) == 1:
        return None, None, "constant"
    if sum(len(text) * number for text, number in counts.items()) > _TEXT_LENGTH * filled:
        return None, None, "text"
    if len(counts) > _NEARLY_UNIQUE * filled and len(counts) > _FEW_NUMBERS:
        return None, None, "nearly a value of its own for each row"
    if len(counts) > _MOST_CATEGORIES:
        return None, None, f"more than {_MOST_CATEGORIES:,} different values"
    kept = sorted(text for text, number in counts.items() if number >= _RARE)
    if len(kept) < 2:
        return None, None, f"no two values with {_RARE} rows"
    known = set(kept)
    rows = [[text] if text in known else [] for text in texts]
    return _block(name, rows, kept), "categories", f"{len(kept)} categories"


def _lists(name: str, rows: list[list[str]]) -> tuple[FeatureBlock | None, str | None, str]:
    counts = Counter(part for row in rows for part in set(row))
    kept = sorted(part for part, number in counts.items() if number >= _RARE)
    if len(kept) < 2:
        return None, None, f"no two parts with {_RARE} rows"
    if len(kept) > _MOST_CATEGORIES:
        return None, None, f"more than {_MOST_CATEGORIES:,} different parts"
    known = set(kept)
    chosen = [sorted({part for part in row if part in known}) for row in rows]
    return _block(name, chosen, kept), "lists", f"lists of {len(kept)} parts"


def _block(name: str, rows: list[list[str]], names: list[str]) -> FeatureBlock:
    """Each row's features, with the value ``1 / sqrt(number of them)``."""
    place = {each: at for at, each in enumerate(names)}
    lengths = np.array([len(row) for row in rows])
    indices = np.array([place[part] for row in rows for part in row], dtype=np.int32)
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
    return FeatureBlock(name, np.concatenate(([0], np.cumsum(lengths))), indices, values, tuple(names))
