"""The same six questions to four tools, each as its users would ask. None of this uses our code.

Each answers with plain Python values, so that the answers can be compared.
"""

from pathlib import Path
from typing import Protocol

Checksum = tuple[int, int, int, float]
"""Rows, sum of user ids, sum of item ids, sum of predictions rounded to hundredths."""


class Consumer(Protocol):
    """What every consumer asks; a folder is ``predictions/current/champion`` or one of ``table/model=…``."""

    def whole(self, folder: Path) -> Checksum:
        """Read everything."""

    def dtypes(self, folder: Path) -> list[str]:
        """Kinds of the four columns: int, int, float, bool."""

    def one_user(self, folder: Path, user: int) -> list[tuple[int, float, bool]]:
        """Item, prediction and rated of a user, in the order of the file."""

    def top_unseen(self, folder: Path, k: int) -> dict[int, list[int]]:
        """The best k unseen items of every user, computed from the table."""

    def with_titles(self, folder: Path, titles: Path, user: int) -> list[str]:
        """Titles of a user's items in the order of the table."""

    def both_models(self, table: Path, user: int, item: int) -> dict[str, float]:
        """The two models' predictions of a pair, from ``current/table`` with its ``model=`` folders."""


class Pandas:
    def whole(self, folder):
        import pandas as pd

        rows = pd.read_parquet(folder)
        total = rows["prediction"].astype("float64").sum()
        return len(rows), int(rows["user_id"].sum()), int(rows["item_id"].sum()), round(float(total), 2)

    def dtypes(self, folder):
        import pandas as pd

        return [dtype.name.rstrip("0123456789") for dtype in pd.read_parquet(folder).dtypes]

    def one_user(self, folder, user):
        import pandas as pd

        rows = pd.read_parquet(folder, filters=[("user_id", "==", user)])
        return list(rows[["item_id", "prediction", "rated"]].itertuples(index=False, name=None))

    def top_unseen(self, folder, k):
        import pandas as pd

        rows = pd.read_parquet(folder, filters=[("rated", "==", False)])
        rows = rows.sort_values(["user_id", "prediction", "item_id"], ascending=[True, False, True])
        best = rows.groupby("user_id").head(k)
        return {user: group.tolist() for user, group in best.groupby("user_id")["item_id"]}

    def with_titles(self, folder, titles, user):
        import pandas as pd

        rows = pd.read_parquet(folder, filters=[("user_id", "==", user)])
        return rows.merge(pd.read_parquet(titles), on="item_id", how="left")["title"].tolist()

    def both_models(self, table, user, item):
        import pandas as pd

        rows = pd.read_parquet(table, filters=[("user_id", "==", user), ("item_id", "==", item)])
        return dict(zip(rows["model"].astype(str), rows["prediction"], strict=True))


class Polars:
    def whole(self, folder):
        import polars as pl

        rows = pl.read_parquet(folder)
        total = rows["prediction"].cast(pl.Float64).sum()
        return rows.height, rows["user_id"].sum(), rows["item_id"].sum(), round(total, 2)

    def dtypes(self, folder):
        import polars as pl

        kinds = {pl.Int64: "int", pl.Float32: "float", pl.Boolean: "bool"}
        return [
            kinds[type(dtype) if not isinstance(dtype, type) else dtype] for dtype in pl.read_parquet(folder).dtypes
        ]

    def one_user(self, folder, user):
        import polars as pl

        rows = pl.scan_parquet(folder / "*.parquet").filter(pl.col("user_id") == user)
        return rows.select("item_id", "prediction", "rated").collect().rows()

    def top_unseen(self, folder, k):
        import polars as pl

        best = (
            pl.scan_parquet(folder / "*.parquet")
            .filter(~pl.col("rated"))
            .sort("user_id", "prediction", "item_id", descending=[False, True, False])
            .group_by("user_id", maintain_order=True)
            .head(k)
            .collect()
        )
        return {user: group["item_id"].to_list() for (user,), group in best.group_by("user_id")}

    def with_titles(self, folder, titles, user):
        import polars as pl

        rows = pl.read_parquet(folder).filter(pl.col("user_id") == user)
        return rows.join(pl.read_parquet(titles), on="item_id", how="left", maintain_order="left")["title"].to_list()

    def both_models(self, table, user, item):
        import polars as pl

        rows = pl.scan_parquet(table, hive_partitioning=True)
        pair = rows.filter(pl.col("user_id") == user, pl.col("item_id") == item).collect()
        return dict(zip(pair["model"].to_list(), pair["prediction"].to_list(), strict=True))


class DuckDB:
    def query(self, sql):
        import duckdb

        return duckdb.execute(sql).fetchall()

    def whole(self, folder):
        rows, users, items, total = self.query(
            f"select count(*), sum(user_id), sum(item_id), sum(prediction::double) from '{folder}/*.parquet'"
        )[0]
        return rows, int(users), int(items), round(total, 2)

    def dtypes(self, folder):
        kinds = {"BIGINT": "int", "FLOAT": "float", "BOOLEAN": "bool"}
        return [kinds[row[1]] for row in self.query(f"describe from '{folder}/*.parquet'")]

    def one_user(self, folder, user):
        return self.query(f"select item_id, prediction, rated from '{folder}/*.parquet' where user_id = {user}")

    def top_unseen(self, folder, k):
        return dict(self.query(
            f"""select user_id, list(item_id order by prediction desc, item_id)[1:{k}]
                from '{folder}/*.parquet' where not rated group by user_id"""
        ))  # fmt: skip

    def with_titles(self, folder, titles, user):
        return [row[0] for row in self.query(
            f"""select title from '{folder}/*.parquet' left join '{titles}' using (item_id)
                where user_id = {user} order by item_id"""
        )]  # fmt: skip

    def both_models(self, table, user, item):
        return dict(self.query(
            f"""select model, prediction from read_parquet('{table}/**/*.parquet', hive_partitioning = true)
                where user_id = {user} and item_id = {item}"""
        ))  # fmt: skip


class Arrow:
    def dataset(self, folder, **options):
        import pyarrow.dataset as ds

        return ds.dataset(folder, format="parquet", **options)

    def whole(self, folder):
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = self.dataset(folder).to_table()
        total = pc.sum(rows["prediction"].cast(pa.float64())).as_py()
        return rows.num_rows, pc.sum(rows["user_id"]).as_py(), pc.sum(rows["item_id"]).as_py(), round(total, 2)

    def dtypes(self, folder):
        return [str(t).rstrip("0123456789") for t in self.dataset(folder).schema.types]

    def one_user(self, folder, user):
        import pyarrow.compute as pc

        rows = self.dataset(folder).to_table(["item_id", "prediction", "rated"], filter=pc.field("user_id") == user)
        return [tuple(row.values()) for row in rows.to_pylist()]

    def top_unseen(self, folder, k):
        import pyarrow.compute as pc

        rows = self.dataset(folder).to_table(filter=~pc.field("rated"))
        order = [("user_id", "ascending"), ("prediction", "descending"), ("item_id", "ascending")]
        best: dict[int, list[int]] = {}
        for row in rows.sort_by(order).select(["user_id", "item_id"]).to_pylist():
            best.setdefault(row["user_id"], []).append(row["item_id"])
        return {user: items[:k] for user, items in best.items()}

    def with_titles(self, folder, titles, user):
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        rows = self.dataset(folder).to_table(["item_id"], filter=pc.field("user_id") == user)
        return rows.join(pq.read_table(titles), "item_id").sort_by("item_id")["title"].to_pylist()

    def both_models(self, table, user, item):
        import pyarrow.compute as pc

        pair = (pc.field("user_id") == user) & (pc.field("item_id") == item)
        rows = self.dataset(table, partitioning="hive").to_table(["model", "prediction"], filter=pair)
        return {row["model"]: row["prediction"] for row in rows.to_pylist()}


CONSUMERS: dict[str, Consumer] = {"pandas": Pandas(), "polars": Polars(), "duckdb": DuckDB(), "pyarrow": Arrow()}
