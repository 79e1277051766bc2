"""How long one user's best items take, as docs/web.md shows it: memory-mapped Arrow, a DuckDB file, ``best_of_parts``.

    python benchmarks/lookups.py                  100,000 users with 20 items each
    python benchmarks/lookups.py --users 1000000

Writes synthetic lists in the layout of a table, looks 2,000 random users up, and prints a markdown table.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.scoring.columns import with_field_ids
from recobatch.scoring.top import USERS_PER_GROUP, top_schema

PAGE = Path(__file__).parents[1] / "docs" / "web.md"
ITEMS = 10_000
LOOK_UPS = 2_000


def write_lists(folder: Path, n_users: int, k: int) -> Path:
    """A version with the lists of one model."""
    rng = np.random.default_rng(0)
    (folder / "champion-top").symlink_to("top/model=ours")
    path = folder / "top" / "model=ours" / "part-00000-v1.parquet"
    path.parent.mkdir(parents=True)
    schema = with_field_ids(top_schema(pa.int64(), pa.int64()))
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["user_id", "rank", "item_id"]) as writer:
        for start in range(0, n_users, USERS_PER_GROUP):
            users = np.arange(start, min(start + USERS_PER_GROUP, n_users))
            items = (rng.integers(ITEMS, size=(len(users), 1)) + np.arange(k) * 7919) % ITEMS
            columns = [
                np.repeat(users, k), np.tile(np.arange(1, k + 1, dtype=np.int32), len(users)), items.ravel(),
                *(rng.random(items.size, np.float32) for _ in schema.names[3:]),
            ]  # fmt: skip
            writer.write_table(pa.table(columns, schema=schema), row_group_size=items.size)
    return path


def measure(look_up: Callable[[int], list], users: np.ndarray) -> list[float]:
    """Median and 99th percentile of a look-up, in milliseconds: of time, then of the thread's CPU time.

    On a machine that is busy with something else, the latter is the one to look at.
    """
    for user in users[:20]:
        look_up(int(user))
    spent = []
    for user in users:
        started = time.perf_counter(), time.thread_time()
        found = look_up(int(user))
        spent.append((time.perf_counter() - started[0], time.thread_time() - started[1]))
        assert len(found) == 10
    return [float(np.quantile(column, q) * 1e3) for column in zip(*spent, strict=True) for q in (0.5, 0.99)]


def ways(folder: Path, path: Path) -> dict[str, Callable[[int], list]]:
    """Name → look-up of a user's ten best items."""
    import duckdb

    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1], names)
    started = time.perf_counter()
    lists = names["Lists"](names["unpack"](folder, folder / "lists.arrow"))
    print(f"unpacked and opened in {time.perf_counter() - started:.1f} s")
    connection = duckdb.connect(str(folder / "lists.duckdb"), config={"threads": 1})
    connection.execute(f"CREATE TABLE top AS FROM '{path}'")
    query = "SELECT rank, item_id, score FROM top WHERE user_id = ? AND rank <= 10"
    ordered = "SELECT item_id, score FROM top WHERE user_id = ? ORDER BY rank LIMIT 10"
    return {
        "memory-mapped Arrow": lists.top,
        "DuckDB file": lambda user: sorted(connection.execute(query, [user]).fetchall()),
        "DuckDB file, ORDER BY": lambda user: connection.execute(ordered, [user]).fetchall(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("-k", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recobatch-bench-") as name:
        path = write_lists(Path(name), options.users, options.k)
        users = np.random.default_rng(1).integers(options.users, size=LOOK_UPS)
        rows = {way: measure(look_up, users) for way, look_up in ways(Path(name), path).items()}
    print("| look-up of one user | p50, ms | p99, ms | CPU p50, ms | CPU p99, ms |\n|---|---|---|---|---|")
    for way, figures in rows.items():
        print(f"| {way} | {' | '.join(f'{figure:.3f}' for figure in figures)} |")


if __name__ == "__main__":
    main()
