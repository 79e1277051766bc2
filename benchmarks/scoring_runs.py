"""What ``scoring.py`` measures; each runs in a process of its own: ``python benchmarks/scoring_runs.py NAME ...``."""

import json
import os
import statistics
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.blas import one_blas_thread
from recobatch.factors import FactorModel, Link
from recobatch.interest.candidates import LARGE_COLUMNS, LARGE_RANK, SIZES
from recobatch.interest_model import Confidence, InterestKind, InterestModel, InterestPart
from recobatch.model_folder import INTEREST_FILE, LoadedModel, ModelFolder, load_interest
from recobatch.rated import RatedPairs
from recobatch.scoring.list_plan import plan_lists
from recobatch.scoring.predictions import (
    ScoreOptions,
    parquet_settings,
    plan_shards,
    prediction_schema,
    score_shard,
)
from recobatch.scoring.ranker import RankBy
from recobatch.scoring.top import best_items, top_shard
from recobatch.table import ModelEntry, open_table
from recobatch.vocabulary import Vocabulary

THREADS = os.cpu_count() or 1
INTEREST_PARTS = ((InterestKind.EASE, LARGE_RANK), *((InterestKind.IALS, size) for size in SIZES))
"""Of the model that is chosen for many ratings; ``LARGE_COLUMNS`` columns are made of theirs."""


def make_inputs(folder: Path, users: int, items: int, factors: int, rated: int, *, seed: int) -> ModelFolder:
    """Factors whose predictions spread over the scale, and rated pairs with a long tail of items."""
    rng = np.random.default_rng(seed)

    def normal(scale: float, *shape: int) -> np.ndarray:
        return rng.normal(scale=scale, size=shape).astype(np.float32)

    scale = (0.6 / factors**0.5) ** 0.5
    model = FactorModel(
        normal(scale, users, factors), normal(scale, items, factors), normal(0.4, users), normal(0.5, items),
        0.5, Link.SCALED_SIGMOID, 1.0, 5.0,
    )  # fmt: skip
    popularity = 1 / np.arange(1, items + 1) ** 0.8
    item = rng.choice(items, size=rated, p=popularity / popularity.sum())
    key = np.unique(rng.integers(0, users, size=rated) * items + item)
    user, item = np.divmod(key, items)
    indptr = np.searchsorted(user, np.arange(users + 1)).astype(np.int64)
    folder.mkdir(parents=True)
    user_ids, item_ids = Vocabulary(pa.arange(1, users + 1)), Vocabulary(pa.arange(1, items + 1))
    parts = []
    for kind, width in INTEREST_PARTS:  # of a positive mean, as interest has: its first factor is popularity
        u, v = (normal(0.2, size, width) + np.float32(0.05) for size in (users, items))
        parts.append(InterestPart(kind, u, v, v, u.mean(axis=0), 0.01, 0.3, 5.0))
    interest = InterestModel(tuple(parts), Confidence(1, 5, 4)).in_columns(LARGE_COLUMNS)
    interest.save(folder / INTEREST_FILE)
    return LoadedModel(model, user_ids, item_ids, RatedPairs(indptr, item.astype(np.int32), items)).save(folder)


def publish(folder: Path, out: Path, names: list[str], users: int, *, top: int) -> dict:
    """Factors on the disk to a published, verified-by-footer, fsynced snapshot."""
    inputs = {name: ModelFolder(folder / name) for name in names}
    options, table = ScoreOptions(), open_table(out)
    for each in inputs.values():
        each.load()
    with clock() as seconds, table.lock(holder="benchmark"), ThreadPoolExecutor(THREADS) as pool:
        version = f"v{time.time_ns()}"
        staging, shards, tops = table.stage(version), {}, {}
        for name, each in inputs.items():
            loaded = each.load()
            plan = plan_shards(users, loaded.model.n_items, options)
            shards[name] = [
                pool.submit(
                    score_shard, each, part, staging.shard_path(name, n), metadata={"version": version}, options=options
                )
                for n, part in enumerate(plan)
            ]
            tops[name] = [
                pool.submit(top_shard, each, part, staging.top_path(name, n), k=top, metadata={"version": version})
                for n, part in enumerate(plan if top else [])
            ]
        entries = {
            name: ModelEntry(
                name, "benchmark", each.load().model.fingerprint, each.load().users.fingerprint,
                each.load().items.fingerprint, tuple(job.result() for job in shards[name]),
                tuple(job.result() for job in tops[name]),
            )
            for name, each in inputs.items()
        }  # fmt: skip
        snapshot = staging.publish(
            entries, champion=names[0], expected_rows=users * next(iter(inputs.values())).load().model.n_items
        )
        table.retain(1)
    size = sum(report.bytes for entry in entries.values() for report in entry.shards)
    rows = sum(snapshot.rows.values())
    return {"seconds": seconds[0], "cpu": seconds[1], "rows": rows, "bytes_per_row": size / rows}


def bare(folder: Path, out: Path, names: list[str], users: int) -> dict:
    """The limit: product, sigmoid and pyarrow's write of the same columns at the same settings; no checks, no fsync."""
    loaded = {name: ModelFolder(folder / name).load() for name in names}
    out.mkdir(parents=True, exist_ok=True)

    def write(job: tuple[str, slice]) -> None:
        name, part = job
        model, n_items = loaded[name].model, loaded[name].model.n_items
        step = max(1, ScoreOptions().sizes(users * n_items)[1] // n_items)
        item_ids = pa.array(np.tile(loaded[name].items.ids.to_numpy(), step))
        user_ids = loaded[name].users.ids.to_numpy()
        schema = prediction_schema(pa.int64(), pa.int64())
        with pq.ParquetWriter(out / f"{name}-{part.start}.parquet", schema, **parquet_settings(pa.int64())) as writer:
            for start in range(part.start, part.stop, step):
                block = slice(start, min(start + step, part.stop))
                scores = model.user_factors[block] @ model.item_factors.T
                scores += model.user_bias[block, None] + model.item_bias + np.float32(0.5)
                values = (4 / (1 + np.exp(-scores)) + 1).ravel()
                columns = [
                    pa.array(np.repeat(user_ids[block], n_items)), item_ids[: len(values)], pa.array(values),
                    pa.array(loaded[name].rated.mask(block).ravel()),
                ]  # fmt: skip
                writer.write_table(pa.table(columns, schema=schema), row_group_size=len(values))

    jobs = [(name, part) for name in names for part in plan_shards(users, loaded[name].model.n_items, ScoreOptions())]
    with clock() as seconds, one_blas_thread(), ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, jobs))
    return {"seconds": seconds[0], "cpu": seconds[1], "rows": sum(users * loaded[name].model.n_items for name in names)}


def duckdb_cross_join(folder: Path, out: Path, users: int) -> dict:
    """The same predictions by DuckDB's own cross join, list_inner_product and COPY."""
    import duckdb

    loaded = ModelFolder(folder).load()
    model = loaded.model
    width = model.n_factors
    u = pa.table(
        {
            "user_id": loaded.users.ids[:users],
            "uf": fixed_lists(model.user_factors[:users]),
            "ub": model.user_bias[:users],
        }
    )
    i = pa.table({"item_id": loaded.items.ids, "vf": fixed_lists(model.item_factors), "ib": model.item_bias})
    connection = duckdb.connect(config={"threads": THREADS})
    connection.register("u", u)
    connection.register("i", i)
    score = f"array_inner_product(uf::float[{width}], vf::float[{width}]) + ub + ib + 0.5"
    query = f"select user_id, item_id, (1 + 4 / (1 + exp(-({score}))))::float prediction from u cross join i"
    out.mkdir(parents=True, exist_ok=True)
    with clock() as seconds:
        connection.execute(
            f"copy ({query}) to '{out}/duckdb.parquet' (format parquet, compression zstd, compression_level 1)"
        )
    return {"seconds": seconds[0], "cpu": seconds[1], "rows": users * model.n_items}


def fixed_lists(factors: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(factors.ravel()), factors.shape[1])


def rank(folder: Path, out: Path, users: int, rank_by: RankBy) -> dict:
    """Best 100 unseen items of every user, written as parquet files; implicit returns them in memory."""
    inputs, interest = ModelFolder(folder), folder / INTEREST_FILE
    inputs.load()
    load_interest(interest)
    out.mkdir(parents=True, exist_ok=True)
    parts = plan_lists(users, inputs.load().model.n_items, 100, ScoreOptions())
    with clock() as seconds, ThreadPoolExecutor(THREADS) as pool:
        jobs = [
            pool.submit(
                top_shard, inputs, part, out / f"{n}.parquet", k=100, metadata={}, interest=interest, rank_by=rank_by
            )
            for n, part in enumerate(parts)
        ]
        rows = sum(job.result().rows for job in jobs)
    return {"seconds": seconds[0], "cpu": seconds[1], "rows": rows}


def look_up(table: Path, tool: str) -> dict:
    """Rows of one user, warm: the median of 50 users."""
    folder, rows = (table / "current" / "champion").resolve(), []
    n_users = 1 + pq.read_metadata(sorted(folder.glob("*.parquet"))[-1]).row_group(0).column(0).statistics.min
    chosen = np.random.default_rng(5).integers(1, n_users, 55).tolist()
    readers = {
        "duckdb": duckdb_reader, "duckdb-cached": duckdb_cached, "duckdb-file": duckdb_file, "polars": polars_reader,
        "polars-file": polars_file, "ours": ours_reader,
    }  # fmt: skip
    read = readers[tool](folder, table)
    times, cpu = [], []
    for user in chosen:
        with clock() as seconds:
            rows.append(read(user))
        times.append(seconds[0])
        cpu.append(seconds[1])
    return {
        "seconds": statistics.median(times[5:]),
        "cpu": statistics.median(cpu[5:]),
        "first": times[0],
        "rows": rows[0],
    }


def duckdb_cached(folder: Path, table: Path) -> Callable[[int], int]:
    """With the footers remembered between queries, which is safe here: a published file never changes."""
    return duckdb_reader(folder, table, "set parquet_metadata_cache = true")


def duckdb_reader(folder: Path, _: Path, setting: str = "") -> Callable[[int], int]:
    import duckdb

    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute(setting)
    connection.execute(f"create view predictions as from '{folder}/*.parquet'")
    return lambda user: len(
        connection.execute(f"select item_id, prediction from predictions where user_id = {user}").fetchnumpy()[
            "item_id"
        ]
    )


def duckdb_file(folder: Path, _: Path) -> Callable[[int], int]:
    """As docs/query/duckdb.md asks for one user, many times: the file that has the user alone."""
    import duckdb

    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute(f"""
        SET parquet_metadata_cache = true;
        CREATE TEMP TABLE files AS
        SELECT file_name, min(stats_min_value::BIGINT) AS first_user, max(stats_max_value::BIGINT) AS last_user
        FROM parquet_metadata('{folder}/*.parquet') WHERE path_in_schema = 'user_id' GROUP BY file_name""")
    return lambda user: len(
        connection.execute(f"""
            SET VARIABLE files = (
                SELECT coalesce(list(file_name) FILTER ({user} BETWEEN first_user AND last_user), [min(file_name)])
                FROM files
            );
            SELECT item_id, prediction FROM read_parquet(getvariable('files')) WHERE user_id = {user}
        """).fetchnumpy()["item_id"]
    )


def polars_reader(folder: Path, _: Path) -> Callable[[int], int]:
    import polars as pl

    frame = pl.scan_parquet(folder / "*.parquet")
    return lambda user: frame.filter(pl.col("user_id") == user).select("item_id", "prediction").collect().height


def polars_file(folder: Path, _: Path) -> Callable[[int], int]:
    """As docs/query/polars.md asks for one user, many times."""
    import polars as pl

    files = sorted(folder.glob("*.parquet"))
    first_users = [pl.scan_parquet(file).select("user_id").head(1).collect().item() for file in files]

    def read(user: int) -> int:
        frame = pl.scan_parquet(files[bisect_right(first_users, user) - 1])
        return frame.filter(pl.col("user_id") == user).select("item_id", "prediction").collect().height

    return read


def ours_reader(_: Path, table: Path) -> Callable[[int], int]:
    return lambda user: best_items(table, user, k=10).num_rows


def keras_predict(folder: Path, pairs: int) -> dict:
    """The notebook's own way, in batches of 32, on a slice of the pairs."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    model = ModelFolder(folder).load().model
    user, item = keras.Input((1,)), keras.Input((1,))
    embed = [
        keras.layers.Flatten()(keras.layers.Embedding(n, model.n_factors)(x))
        for n, x in ((model.n_users, user), (model.n_items, item))
    ]
    network = keras.Model([item, user], keras.layers.Dot(1)(embed))
    users, items = np.divmod(np.arange(pairs), model.n_items)
    network.predict([items[:64], users[:64]], verbose=0)
    with clock() as seconds:
        network.predict([items, users], verbose=0)
    return {"seconds": seconds[0], "cpu": seconds[1], "rows": pairs}


@contextmanager
def clock() -> Iterator[list[float]]:
    seconds: list[float] = []
    begun, cpu = time.perf_counter(), time.process_time()
    yield seconds
    seconds += [time.perf_counter() - begun, time.process_time() - cpu]


def measure(name: str, arguments: list[str]) -> None:
    """Run one of them and print what it found."""
    calls: dict[str, Callable[..., dict]] = {
        "publish": lambda folder, out, names, users, top: publish(
            Path(folder), Path(out), names.split(","), int(users), top=int(top)
        ),
        "bare": lambda folder, out, names, users: bare(Path(folder), Path(out), names.split(","), int(users)),
        "duckdb": lambda folder, out, users: duckdb_cross_join(Path(folder), Path(out), int(users)),
        "rank": lambda folder, out, users, rank_by: rank(Path(folder), Path(out), int(users), rank_by),
        "look_up": lambda table, tool: look_up(Path(table), tool),
        "keras": lambda folder, pairs: keras_predict(Path(folder), int(pairs)),
    }
    found = calls[name](*arguments)
    print(json.dumps(found | {"peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Most memory that this process ever held; ``ru_maxrss`` would start from the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2:])
