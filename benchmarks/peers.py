"""What other tools reach on the notebook's split, each at its best known setting, in an environment of its own.

    python benchmarks/peers.py --u-data PATH             makes the environments under benchmarks/out/peers first
    python benchmarks/peers.py --u-data PATH --only cornac

Prints a markdown table of fit seconds and test MSE (predictions clipped to 1..5; an unknown item gets the mean):
medians of three runs, each a process of its own. A tool that does not install here is named with pip's reason.
"""

import argparse
import json
import statistics
import subprocess
import sys
import venv
from pathlib import Path

PEERS = {
    "surprise": ("numpy<2", "scipy<1.16", "pandas<3", "scikit-surprise==1.1.4"),
    "cornac": ("cornac==2.3.5",),
    "lenskit": ("lenskit==2025.8.1",),
    "cmfrec": ("numpy<2", "threadpoolctl", "cmfrec==3.5.1.post13"),
}
"""Tool → what to install. surprise and cmfrec compile C at installation, which takes minutes."""
HERE = Path(__file__).parent


def environment(peer: str) -> Path:
    """The interpreter of a peer's environment, made on first use."""
    folder = HERE / "out" / "peers" / peer
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *PEERS[peer]], check=True, capture_output=True, text=True
        )
        (folder / ".installed").touch()
    return python


def measured(python: Path, peer: str, u_data: Path) -> dict:
    command = [str(python), str(HERE / "peers_runs.py"), peer, str(u_data)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--u-data", type=Path, required=True, help="MovieLens 100k's u.data")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=tuple(PEERS))
    parser.add_argument("--out", type=Path, default=HERE / "out" / "peers.jsonl")
    options = parser.parse_args()
    rows = []
    print("| tool | fit s | CPU s | test MSE | setting |\n|---|---|---|---|---|", flush=True)
    for peer in [options.only] if options.only else PEERS:
        try:
            python = environment(peer)
            runs = [measured(python, peer, options.u_data) for _ in range(options.runs)]
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"| {peer} | | | | did not run: {reason} |", file=sys.stdout, flush=True)
            continue
        row = {"peer": peer, "setting": runs[0]["setting"]}
        row |= {key: statistics.median(run[key] for run in runs) for key in ("seconds", "cpu", "mse")}
        print(f"| {peer} | {row['seconds']:.2f} | {row['cpu']:.2f} | {row['mse']:.4f} | {row['setting']} |", flush=True)
        rows.append(row)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
