"""implicit's own ranking over the factors of a benchmark; for an interpreter that has implicit and not our packages."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase


class Model(MatrixFactorizationBase):
    """Factors that were trained elsewhere."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        saved = np.load(folder / "factors.npz")
        user, item = saved["user_factors"], saved["item_factors"]
        # Biases as two more factors, as in our kernel: implicit knows factors only.
        self.user_factors = np.column_stack([user, saved["user_bias"], np.ones(len(user), np.float32)])
        self.item_factors = np.column_stack([item, np.ones(len(item), np.float32), saved["item_bias"]])

    def fit(self) -> None: ...

    def save(self, *_: object) -> None: ...


def main() -> None:
    folder, users, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    model, rated = Model(folder), np.load(folder / "rated.npz")
    ones = np.ones(len(rated["item_index"]), np.float32)
    seen = sp.csr_matrix(
        (ones, rated["item_index"], rated["indptr"]), shape=(len(rated["indptr"]) - 1, rated["n_items"])
    )
    begun, cpu = time.perf_counter(), time.process_time()
    ids, _ = model.recommend(np.arange(users), seen[:users], N=100, filter_already_liked_items=True)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    np.save(out, ids)
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak}))


if __name__ == "__main__":
    main()
