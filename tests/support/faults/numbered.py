"""Tables whose every prediction is the number of the version, so that a reader sees at once what it has read."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from recobatch.factors import Link
from recobatch.model_folder import ModelFolder
from recobatch.scoring.predictions import ScoreOptions
from recobatch.table import Published, open_table
from tests.support.small_table import make_model, publish, write_inputs

N_USERS, N_ITEMS = 24, 10
ROWS = N_USERS * N_ITEMS
OPTIONS = ScoreOptions(rows_per_shard=160, rows_per_group=80)
CLEAN = {"versions", "current", "current.json", ".lock", ".recobatch-table"}


def inputs_of(folder: Path, number: int) -> ModelFolder:
    zeros = np.zeros((N_USERS, 1), dtype=np.float32)
    model = replace(
        make_model(N_USERS, N_ITEMS), user_factors=zeros, item_factors=zeros[:N_ITEMS], user_bias=zeros[:, 0],
        item_bias=zeros[:N_ITEMS, 0], global_bias=float(number), link=Link.IDENTITY,
        min_rating=0.0, max_rating=0.0,
    )  # fmt: skip
    return write_inputs(folder / f"inputs-{number}", model)


def publish_number(root: Path | str, inputs: ModelFolder, number: int | str, *, keep: int = 3) -> Published:
    """A whole batch of one model in two shards, with best items."""
    return publish(open_table(root), f"v{number}", inputs, options=OPTIONS, top=3, keep=keep)


def read_number(root: Path) -> int | None:
    """Read the table as a consumer does, without our code; assert that it is whole and of one version."""
    link = root / "current"
    if not link.is_symlink():
        return None
    rows = pq.read_table((link / "champion").resolve(strict=True))
    values = set(rows["prediction"].to_pylist())
    assert rows.num_rows == ROWS, rows.num_rows
    assert len(set(zip(rows["user_id"].to_pylist(), rows["item_id"].to_pylist(), strict=True))) == ROWS
    assert len(values) == 1, values
    return int(values.pop())


def check_whole(root: Path) -> list[int]:
    """Every snapshot is sound, the current one is among them; returns their numbers in the order of publishing."""
    table = open_table(root)
    snapshots = table.snapshots()
    for snapshot in snapshots:
        assert table.verify(snapshot.version).problems == ()
    folders = (root / "versions").iterdir() if (root / "versions").exists() else ()
    assert {path.name for path in folders} == {snapshot.version for snapshot in snapshots}
    current = table.current()
    assert (current is None) == (read_number(root) is None)
    if current is not None:
        assert current.version == f"v{read_number(root)}"
        assert current.version in {snapshot.version for snapshot in snapshots}
    return [int(snapshot.version[1:]) for snapshot in snapshots]


def check_tidy(root: Path) -> None:
    """No litter, and both pointers agree."""
    assert {path.name for path in root.iterdir()} == CLEAN
    assert json.loads((root / "current.json").read_text())["version"] == f"v{read_number(root)}"
    assert not list(root.rglob(".tmp-*"))
