"""Side tables of users and items → sparse features aligned to a vocabulary, with a report of the columns."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from recobatch.errors import BadInput
from recobatch.features import Features
from recobatch.reading.columns import known_role
from recobatch.sources.side_cells import read_cells
from recobatch.sources.side_columns import Column, build_block, build_block_like
from recobatch.sources.side_report import ColumnReport, SideTableReport
from recobatch.vocabulary import Vocabulary

Side = Literal["user", "item"]
_SHOWN = 5


def read_side_table(path: Path, vocabulary: Vocabulary, side: Side) -> tuple[Features, SideTableReport]:
    """Read a table of users or items as features.

    A column is taken as numbers (binned by quantile) where all its values are, as lists where many of them are
    separated by ``|`` or written as ``["a", "b"]``, else as categories. Left out: texts, names, columns with a value of
    its own for nearly every row, constant columns.

    Args:
        path: csv, tsv or any delimiter with a header, MovieLens' own ``u.user``, ``u.item`` and ``movies.dat``, or
            parquet.
        vocabulary: Ids of the ratings, to which the features are aligned.
        side: Whose table it is.

    Returns:
        One block for each column that is used, and the report.

    Raises:
        BadInput: If it cannot be read, has no id column, or no id that occurs in the ratings.
    """
    table = read_cells(path)
    id_name = _id_column(list(table.columns), side, path)
    rows, counts = _match(table.columns.pop(id_name), vocabulary, path, side)
    features, reports = [], []
    for column in grouped_flags(table.columns):
        chosen = [column.values[row] if row >= 0 else None for row in rows]
        block, used_as, reason = build_block(Column(column.name, chosen, column.is_flags))
        reports.append(ColumnReport(column.name, used_as, reason))
        if block is not None:
            features.append(block)
    report = SideTableReport(str(path), table.rows, tuple(reports), undecodable=table.undecodable, **counts)
    return Features(tuple(features)), report


def read_side_table_like(path: Path, vocabulary: Vocabulary, side: Side, fitted: Features) -> Features:
    """Read a table of users or items in the columns, bins and categories of an earlier reading.

    Args:
        path: As in ``read_side_table``.
        vocabulary: Ids that the result is aligned to.
        side: Whose table it is.
        fitted: Features of the earlier reading; a column that the table lacks has no features.

    Raises:
        BadInput: As ``read_side_table``.
    """
    table = read_cells(path)
    rows, _ = _match(table.columns.pop(_id_column(list(table.columns), side, path)), vocabulary, path, side)
    columns = {column.name: column for column in grouped_flags(table.columns)}
    empty: list[Any] = [None] * table.rows
    blocks = []
    for block in fitted.blocks:
        column = columns.get(block.name, Column(block.name, empty))
        chosen = [column.values[row] if row >= 0 else None for row in rows]
        blocks.append(build_block_like(Column(column.name, chosen, column.is_flags), block))
    return Features(tuple(blocks))


def grouped_flags(columns: dict[str, list[Any]]) -> Iterator[Column]:
    """Columns, neighbours of zeros and ones joined to one column of lists: ``Action``, ``Comedy``, … are one kind."""
    run: list[str] = []
    for name, values in [*columns.items(), ("", [])]:
        if values and _is_flag(values):
            run.append(name)
            continue
        if len(run) >= 3:
            lists = [[flag for flag in run if _is_on(columns[flag][row])] for row in range(len(columns[run[0]]))]
            yield Column(f"{run[0]}…{run[-1]}", lists, is_flags=True)
        else:
            for flag in run:
                yield Column(flag, columns[flag])
        run = []
        if values:
            yield Column(name, values)


def _is_flag(values: Sequence[Any]) -> bool:
    found = {str(value).strip().removesuffix(".0") for value in values if value is not None}
    return bool(found) and found <= {"0", "1", "True", "False", "true", "false"}


def _is_on(value: Any) -> bool:  # noqa: ANN401 - a cell of any type
    return str(value).strip().removesuffix(".0") in {"1", "True", "true"}


def _id_column(names: list[str], side: Side, path: Path) -> str:
    plain = {name: re.sub(r"[\W_]+", "", re.sub(r":\w+$", "", name.lower())) for name in names}
    found = [name for name in names if known_role(name) == side] or [name for name in names if plain[name] == "id"]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(map(repr, (found or names)[:_SHOWN]))
    raise BadInput(
        f"{path}: found {f'{len(found)} columns that could be' if found else 'no column with'} the {side} id "
        f"({shown}), expected one named {side}_id; rename it"
    )


def _match(ids: list[Any], vocabulary: Vocabulary, path: Path, side: Side) -> tuple[list[int], dict[str, int]]:
    """Row of each id of the vocabulary, -1 for none; and the counts of the report."""
    is_integer = pa.types.is_integer(vocabulary.ids.type)
    keys = [None if value is None else _key(value) for value in ids]
    first: dict[str, int] = {}
    duplicates = null_ids = 0
    for row, key in enumerate(keys):
        if key is None:
            null_ids += 1
        elif key in first:
            duplicates += 1
        else:
            first[key] = row
    wanted = pc.cast(vocabulary.ids, pa.string()).to_pylist()
    rows = [first.get(key, -1) for key in wanted]
    matched = sum(row >= 0 for row in rows)
    if not matched:
        found = ", ".join(map(repr, list(first)[:_SHOWN]))
        raise BadInput(
            f"{path}: found no {side} of the ratings among its ids ({found or 'none'}), expected ids like "
            f"{', '.join(map(repr, wanted[:_SHOWN]))}{' (integers)' if is_integer else ''}; check that it belongs to "
            f"these ratings"
        )
    return rows, {
        "unknown_ids": len(first) - matched, "missing_rows": len(rows) - matched, "duplicates": duplicates,
        "null_ids": null_ids,
    }  # fmt: skip


def _key(value: Any) -> str:  # noqa: ANN401 - an id of any type
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text.removesuffix(".0") if re.fullmatch(r"-?\d+\.0", text) else text
