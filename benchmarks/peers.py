"""What other tools reach on the notebook's split, each at its best known setting, in an environment of its own.

    python benchmarks/peers.py --u-data PATH             makes the environments under benchmarks/out/peers first
    python benchmarks/peers.py --u-data PATH --only cornac

Prints a markdown table of fit seconds and test MSE (predictions clipped to 1..5; an unknown item gets the mean), ours
first, and writes JSON lines: medians of three runs, each a process of its own, all tools in turn. Ours is the bias
model in preset ``tuned``, the mean of 5 seeds; its compile time is told apart. A tool that does not install is named
with the reason.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from environments import Missing, python_with

PEERS = ("surprise", "cornac", "lenskit", "cmfrec")
OURS = "recobatch"
HERE = Path(__file__).parent


def command(tool: str, u_data: Path) -> list[str]:
    if tool == OURS:
        return [sys.executable, str(HERE / "training_runs.py"), "quality", str(u_data), "explicit_mf_bias", "5"]
    return [str(python_with(tool)), str(HERE / "peers_runs.py"), tool, str(u_data)]


def measured(call: list[str]) -> dict:
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


def measure(tools: list[str], u_data: Path, runs: int) -> Iterator[dict]:
    """Median row of every tool that runs, ours first; the rounds go through all tools in turn."""
    calls, reasons = {}, {}
    for tool in tools:
        try:
            calls[tool] = command(tool, u_data)
        except Missing as reason:
            reasons[tool] = str(reason)
    rounds: dict[str, list[dict]] = {tool: [] for tool in calls}
    for _ in range(runs):
        for tool, call in calls.items():
            try:
                rounds[tool].append(measured(call))
            except Missing as reason:
                reasons[tool] = str(reason)
    for tool in tools:
        if tool in reasons:
            yield {"tool": tool, "missing": reasons[tool]}
        else:
            figures = {
                key: statistics.median(run[key] for run in rounds[tool]) for key in ("seconds", "mse", "peak_mb")
            }
            setting = rounds[tool][0].get("setting", "preset tuned, bias model")
            compiling = rounds[tool][0].get("compile")
            note = f"{setting}; compile {compiling:.2f} s apart" if compiling else setting
            yield {"tool": tool, "setting": note, "runs": runs, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--u-data", type=Path, required=True, help="MovieLens 100k's u.data")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=PEERS)
    parser.add_argument("--out", type=Path, default=HERE / "out" / "peers.jsonl")
    options = parser.parse_args()
    tools = [OURS, *([options.only] if options.only else PEERS)]
    rows = list(measure(tools, options.u_data, options.runs))
    print("| tool | fit s | times ours | test MSE | above ours | peak MB | setting |\n|---|---|---|---|---|---|---|")
    own = rows[0]
    for row in rows:
        if "missing" in row:
            print(f"| {row['tool']} | | | | | | did not run: {row['missing']} |")
            continue
        row |= {"ratio": row["seconds"] / own["seconds"], "mse_above_ours": row["mse"] - own["mse"]}
        print(f"| {row['tool']} | {row['seconds']:.2f} | {row['ratio']:.2f} | {row['mse']:.4f} | "
              f"{row['mse_above_ours']:+.4f} | {row['peak_mb']:.0f} | {row['setting']} |")  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
