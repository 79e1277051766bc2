"""How good lists are on the notebook's split: ours beside popularity, bias means and other tools' lists.

    python benchmarks/ranking.py --u-data PATH             makes the environments under benchmarks/out/peers first
    python benchmarks/ranking.py --u-data PATH --only implicit

Candidates are the items that a user did not rate in train; relevant are test ratings of at least 4; users without one
are left out. Every list is measured by our ``measure_rankings``, ours as the mean of 5 seeds. A tool that does not
install is named with the reason. Prints a markdown table and writes JSON lines.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from environments import Missing, python_with

PEERS = ("implicit", "rectools")
HERE = Path(__file__).parent


def run(command: list[str]) -> list[dict]:
    """Rows that a script printed, one JSON object a line."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def measure(tools: list[str], u_data: Path, seeds: int, folder: Path) -> Iterator[dict]:
    """Rows of ours, then those of every other tool that runs."""
    script = str(HERE / "ranking_runs.py")
    yield from run([sys.executable, script, "ours", str(u_data), str(seeds), str(folder)])
    for tool in tools:
        lists = folder / f"{tool}.npz"
        try:
            run([str(python_with(tool)), str(HERE / "ranking_peers.py"), tool, str(folder / "train.npz"), str(lists)])
        except Missing as reason:
            yield {"what": tool, "missing": str(reason)}
            continue
        with np.load(lists) as found:
            names = list(found)
        for name in names:
            yield from run([sys.executable, script, "measure", str(u_data), str(lists), name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--u-data", type=Path, required=True, help="MovieLens 100k's u.data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=PEERS)
    parser.add_argument("--out", type=Path, default=HERE / "out" / "ranking.jsonl")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recobatch-bench-") as name:
        rows = list(measure([options.only] if options.only else list(PEERS), options.u_data, options.seeds, Path(name)))
    keys = ("ndcg_at_10", "recall_at_10", "map_at_10", "hit_rate_at_10", "coverage", "popularity", "novelty")
    print(f"| lists by | {' | '.join(keys)} | s |\n|---|{'---|' * (len(keys) + 1)}")
    for row in rows:
        if "missing" in row:
            print(f"| {row['what']} |{' |' * (len(keys) + 1)} did not run: {row['missing']}")
            continue
        figures = " | ".join(f"{row[key]:.1f}" if key == "popularity" else f"{row[key]:.4f}" for key in keys)
        print(f"| {row['what']} | {figures} | {row.get('seconds', float('nan')):.2f} |")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
