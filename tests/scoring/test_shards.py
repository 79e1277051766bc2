"""A shard appears when it is whole and on the disk; otherwise nothing does."""

import errno

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recobatch.errors import RecobatchError
from recobatch.scoring import shards
from recobatch.scoring.shards import PredictionStats, ShardReport, open_shard
from recobatch.table.manifest import ModelEntry, ModelFacts
from tests.support.faults.disk import refusing

SCHEMA = pa.schema([pa.field("prediction", pa.float32(), nullable=False)], metadata={"version": "v1"})
ROWS = pa.table([pa.array([1, 2, 3], pa.float32())], schema=SCHEMA)


def write_half(path, error):
    with open_shard(path, SCHEMA, {}) as shard:
        shard.write(ROWS, row_group_size=2)
        raise error


def test_appears_when_whole(tmp_path):
    path = tmp_path / "part.parquet"
    with open_shard(path, SCHEMA, {}) as shard:
        shard.write(ROWS, row_group_size=2)
        assert not path.exists()
    assert pq.read_table(path).equals(ROWS)
    assert shard.report(slice(4, 7)).rows == 3
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_a_body_that_raises_leaves_nothing(tmp_path, error):
    """pyarrow alone would leave a valid-looking file with some of the rows."""
    with pytest.raises(error):
        write_half(tmp_path / "part.parquet", error)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_is_written_again_is_replaced_whole(tmp_path):
    path = tmp_path / "part.parquet"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="half"):
        write_half(path, ValueError("half"))
    assert path.read_bytes() == b"old"
    with open_shard(path, SCHEMA, {}) as shard:
        shard.write(ROWS, row_group_size=2)
    assert pq.read_table(path).num_rows == 3


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_leaves_nothing(tmp_path, at, number):
    path = tmp_path / "part.parquet"
    with (
        refusing(at, number).mounted(),
        pytest.raises(RecobatchError, match="refused to write the shard"),
        open_shard(path, SCHEMA, {}) as shard,
    ):
        shard.write(ROWS, row_group_size=2)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_reported_while_writing_is_not_forgotten(tmp_path, monkeypatch):
    """The kernel tells it once: the fsync at the end succeeds."""
    monkeypatch.setattr(shards, "_SYNC_BYTES", 1)
    with (
        refusing(1, errno.EIO).mounted() as disk,
        pytest.raises(RecobatchError, match="refused to write the shard"),
        open_shard(tmp_path / "part.parquet", SCHEMA, {}) as shard,
    ):
        shard.write(ROWS, row_group_size=2)
    assert disk.seen[0] == "fsync"
    assert list(tmp_path.iterdir()) == []


VALUES = st.one_of(st.floats(-1e4, 1e4, width=32), st.sampled_from([np.nan, np.inf, -np.inf]))


@given(st.lists(arrays(np.float32, st.integers(1, 40), elements=VALUES), min_size=1, max_size=5))
def test_stats_are_those_of_all_blocks_together(blocks):
    stats = PredictionStats()
    for block in blocks:
        stats.add(block)
    everything = np.concatenate(blocks).astype(np.float64)
    finite = everything[np.isfinite(everything)]
    assert stats.non_finite == len(everything) - len(finite)
    if len(finite):
        assert stats.bounds() == (finite.min(), finite.max())
        assert stats.total == pytest.approx(finite.sum(), rel=1e-4, abs=1e-3 * np.abs(finite).max() + 1e-9)
        deviations = np.square(finite - finite.mean()).sum()
        rounding = 1e-10 * len(finite) * np.abs(finite).max() ** 2
        assert stats.squared_deviations == pytest.approx(deviations, rel=1e-4, abs=rounding)
    else:
        assert np.isnan(stats.bounds()).all()


@pytest.mark.parametrize("mean", [0.0, 3.5, 1_003.0, 50_000.0])
def test_the_spread_survives_a_mean_far_above_it(mean, tmp_path):
    values = (mean + np.random.default_rng(0).normal(0, 0.5, (7, 20_000))).astype(np.float32)
    shards = []
    for half in (values[:3], values[3:]):
        stats = PredictionStats()
        for block in half:
            stats.add(block)
        shards.append(ShardReport(tmp_path, half.size, 0, "", 0, 0, *stats.bounds(), 0, stats.total,
                                  stats.squared_deviations))  # fmt: skip
    facts = ModelFacts.of(ModelEntry("m", "run", "f", "u", "i", tuple(shards)))
    assert facts.mean_prediction == pytest.approx(values.mean(dtype=float), rel=1e-7, abs=1e-7)
    assert facts.sd_prediction == pytest.approx(values.std(dtype=float), rel=1e-4)
