"""Run Python and SQL blocks as a notebook would: one namespace a page, and a block's value is its last expression."""

import ast
from typing import Any

import duckdb

from tests.support.pages import Block


class Session:
    """One reader who runs the blocks of a page from top to bottom."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.database = duckdb.connect()

    def run(self, block: Block) -> Any:
        """The value of a block's last expression or statement; what it raises says where it stands."""
        try:
            return self._sql(block.text) if block.language == "sql" else self._python(block)
        except Exception as error:
            error.add_note(f"in {block}: {block.first_line}")
            raise

    def _sql(self, text: str) -> list[tuple]:
        rows: list[tuple] = []
        for statement in self.database.extract_statements(text):
            rows = self.database.execute(statement).fetchall()
        return rows

    def _python(self, block: Block) -> Any:
        tree = ast.parse(block.text, filename=str(block))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(block), "exec"), self.names)
        return eval(compile(ast.Expression(last.value), str(block), "eval"), self.names) if last else None


def rows_of(value: Any) -> list[tuple]:
    """A frame of any of the tools as plain tuples."""
    kind = type(value).__module__.partition(".")[0]
    if kind == "pandas":
        return [tuple(row) for row in value.astype(object).itertuples(index=False, name=None)]
    if kind == "polars":
        return value.rows()
    if kind == "pyarrow":
        return list(zip(*(column.to_pylist() for column in value.columns), strict=True))
    if kind == "pyspark":
        return [tuple(row) for row in value.collect()]
    return value
