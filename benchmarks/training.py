"""Training against ``model.fit``, against its own quality bar, and as the data grow.

    python benchmarks/training.py --u-data PATH          a few minutes; PATH is MovieLens 100k's u.data
    python benchmarks/training.py --u-data PATH --full   up to 25 million ratings; needs 6 GB of memory
    python benchmarks/peers.py --u-data PATH             the same quality bar for other tools

Prints markdown tables and writes JSON lines. Every measurement is a process of its own and the median counts; CPU
seconds stand beside the clock's, which a busy machine falsifies. Compiling is told separately.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SHAPES = {
    100_000: (943, 1682),
    1_000_000: (6_040, 3_706),
    10_000_000: (71_567, 10_681),
    25_000_000: (162_541, 59_047),
}
"""Ratings → users and items, as in the MovieLens sets of those sizes."""
MODELS = ("explicit_mf", "explicit_mf_bias")


def measured(*arguments: object) -> dict:
    """Run one measurement in a fresh process."""
    command = [sys.executable, str(Path(__file__).with_name("training_runs.py")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{arguments}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def medians(runs: list[dict]) -> dict:
    """Median of every figure; lists as in the first run."""
    return {
        key: value if isinstance(value, list) else statistics.median(run[key] for run in runs)
        for key, value in runs[0].items()
    }


def bench_fit(u_data: Path, runs: int) -> Iterator[dict]:
    heading(
        "notebook's recipe, 5 epochs", "ours s", "model.fit s", "times faster", "in CPU", "compile s",
        "loss differs by", "peak MB of both",
    )  # fmt: skip
    for name in MODELS:
        row = medians([measured("fit", u_data, name, 5) for _ in range(runs)]) | {"what": f"fit {name}"}
        row |= {"ratio": row["fit_seconds"] / row["seconds"], "cpu_ratio": row["fit_cpu"] / row["cpu"]}
        tell(
            name, f"{row['seconds']:.2f}", f"{row['fit_seconds']:.1f}", f"{row['ratio']:.1f}",
            f"{row['cpu_ratio']:.1f}", f"{row['compile']:.2f}", f"{row['largest_loss_difference']:.0e}",
            f"{row['peak_mb']:.0f}",
        )  # fmt: skip
        yield row


def bench_quality(u_data: Path, runs: int) -> Iterator[dict]:
    heading("preset tuned, 5 seeds", "test MSE, mean", "worst", "median s", "compile s", "epochs kept", "peak MB")
    for name in MODELS:
        row = medians([measured("quality", u_data, name, 5) for _ in range(runs)]) | {"what": f"quality {name}"}
        tell(
            name, f"{row['mse']:.4f}", f"{row['worst_mse']:.4f}", f"{row['seconds']:.2f}", f"{row['compile']:.2f}",
            " ".join(map(str, row["epochs"])), f"{row['peak_mb']:.0f}",
        )  # fmt: skip
        yield row


def bench_growth(folder: Path, runs: int, largest: int, epochs: int) -> Iterator[dict]:
    heading(
        "ratings", "s an epoch", "s per million", "CPU s per million", "peak MB", "test MSE (noise)",
        "RMSE to truth (spread)",
    )  # fmt: skip
    for n_ratings, shape in SHAPES.items():
        if n_ratings > largest:
            return
        measured("make", folder, n_ratings, *shape)
        row = medians([measured("growth", folder, MODELS[1], n_ratings, *shape, epochs) for _ in range(runs)])
        million = row["ratings"] / 1e6
        row |= {"what": f"growth {n_ratings}", "s_per_million": row["epoch_seconds"] / million}
        tell(
            f"{n_ratings:,}", f"{row['epoch_seconds']:.3f}", f"{row['s_per_million']:.3f}",
            f"{row['cpu_per_epoch'] / million:.3f}", f"{row['peak_mb']:.0f}",
            f"{row['test_mse']:.4f} ({row['noise']:.4f})", f"{row['rmse_to_truth']:.3f} ({row['spread_of_truth']:.3f})",
        )  # fmt: skip
        yield row


def heading(*columns: str) -> None:
    print("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)


def tell(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--u-data", type=Path, help="MovieLens 100k's u.data; without it only growth is measured")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=26, help="of the growth runs, at most")
    parser.add_argument("--full", action="store_true", help="up to 25 million ratings")
    parser.add_argument("--only", choices=("fit", "quality", "growth"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out" / "training.jsonl")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"medians of {options.runs} runs")  # fmt: skip
    rows: list[dict] = []
    if options.u_data and options.only in (None, "fit"):
        rows += bench_fit(options.u_data, options.runs)
    if options.u_data and options.only in (None, "quality"):
        rows += bench_quality(options.u_data, options.runs)
    if options.only in (None, "growth"):
        with tempfile.TemporaryDirectory() as folder:
            rows += bench_growth(Path(folder), options.runs, max(SHAPES) if options.full else 1_000_000, options.epochs)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"\nJSON lines in {options.out}")


if __name__ == "__main__":
    main()
