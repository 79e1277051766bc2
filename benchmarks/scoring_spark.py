"""Spark's way to every pair: cross join, transform in a pandas UDF, write; for an interpreter that has pyspark."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql.functions import pandas_udf


def main() -> None:
    folder, users, out, threads = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    os.environ["PYSPARK_PYTHON"] = sys.executable
    saved = np.load(folder / "factors.npz")
    spark = (
        SparkSession.builder.master(f"local[{threads}]")
        .config("spark.driver.memory", "6g")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "200000")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    user_factors, item_factors = saved["user_factors"], saved["item_factors"]
    user_bias, item_bias = saved["user_bias"], saved["item_bias"]

    @pandas_udf("float")
    def predict(user, item):  # noqa: ANN001, ANN202 - Spark reads annotations as a kind of UDF
        u, i = user.to_numpy() - 1, item.to_numpy() - 1
        score = np.einsum("nk,nk->n", user_factors[u], item_factors[i]) + user_bias[u] + item_bias[i] + 0.5
        return type(user)((1 + 4 / (1 + np.exp(-score))).astype(np.float32))

    left = spark.range(1, users + 1).withColumnRenamed("id", "user_id").repartition(8)
    right = spark.range(1, len(item_factors) + 1).withColumnRenamed("id", "item_id")
    spark.range(1000).count()  # its start-up is not what is compared
    begun = time.perf_counter()
    pairs = left.crossJoin(right)
    pairs.select("user_id", "item_id", predict("user_id", "item_id").alias("prediction")).write.parquet(out)
    seconds = time.perf_counter() - begun
    # The virtual machine's memory alone; its Python workers come on top.
    status = Path(f"/proc/{spark.sparkContext._gateway.proc.pid}/status").read_text()
    spark.stop()
    print(json.dumps({"seconds": seconds, "cpu": None, "peak_mb": int(status.split("VmHWM:")[1].split()[0]) / 1024}))


if __name__ == "__main__":
    main()
