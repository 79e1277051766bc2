"""Shards as Prefect tasks: a few thousand at most whatever the size of the table, each a function of its arguments."""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.tasks.same_build import Expected
from recobatch.errors import RecobatchError
from recobatch.model_folder import ModelFolder
from recobatch.scoring.predictions import ScoreOptions, ShardReport, score_shard
from recobatch.scoring.ranker import RankBy
from recobatch.scoring.top import top_shard
from recobatch.storage.shared_files import SharedModel
from recobatch.table import StagedFiles

MAX_TASKS = 2000
"""Of one run: Prefect's server keeps every task with its states."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Shard:
    """A range of users and the file that is written of it."""

    users: slice
    out: Path


@dataclass(frozen=True)
class Source:
    """What shards of one model are computed from, and where they go."""

    files: StagedFiles
    model: ModelFolder | SharedModel
    metadata: Mapping[str, str]
    """Of every file."""
    expected: Expected | None
    """What a worker on another machine has to be."""

    @contextmanager
    def opened(self) -> Iterator[ModelFolder]:
        """The model as a folder on this machine, for the time of the block.

        Raises:
            RecobatchError: If this process is not what was expected, or if the model cannot be read, or from the block;
                of a worker, the message names it.
        """
        try:
            if self.expected is not None:
                self.expected.check()
            yield self.model.fetch() if isinstance(self.model, SharedModel) else self.model
        except RecobatchError as error:
            if self.expected is None:
                raise
            raise type(error)(f"worker {socket.gethostname()} (pid {os.getpid()}): {error}") from error


@task(name="score shards", cache_policy=NO_CACHE)
def score_shards(source: Source, shards: Sequence[Shard], options: ScoreOptions) -> list[tuple[ShardReport, bool]]:
    """Score ranges of users, unless an earlier attempt did: where a worker dies, its last shard alone is repeated.

    Returns:
        For each shard its report, and whether it is that of an earlier attempt.
    """
    with source.opened() as model:

        def write(users: slice, path: Path) -> ShardReport:
            return score_shard(model, users, path, metadata=source.metadata, options=options)

        return [source.files.once(shard.out, partial(write, shard.users)) for shard in shards]


@task(name="rank shards", cache_policy=NO_CACHE)
def rank_shards(source: Source, shards: Sequence[Shard], k: int, rank_by: RankBy) -> list[tuple[ShardReport, bool]]:
    """Rank the unseen items of ranges of users, likewise."""
    metadata = {**source.metadata, "rank_by": rank_by}
    with source.opened() as model:

        def write(users: slice, path: Path) -> ShardReport:
            return top_shard(model, users, path, k=k, metadata=metadata, interest=model.interest, rank_by=rank_by)

        return [source.files.once(shard.out, partial(write, shard.users)) for shard in shards]


def grouped(shards: Sequence[_T], total: int) -> list[Sequence[_T]]:
    """Groups of neighbours, so large that ``total`` shards make about ``MAX_TASKS`` tasks at most."""
    size = max(1, -(-total // MAX_TASKS))
    return [shards[start : start + size] for start in range(0, len(shards), size)]
