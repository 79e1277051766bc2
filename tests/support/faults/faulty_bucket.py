"""A bucket that fails at one of its requests, and what must hold of the table in it all the same."""

import json
from pathlib import Path

from recobatch.errors import RecobatchError
from recobatch.model_folder import ModelFolder
from recobatch.storage.bucket import Bucket
from recobatch.table import Table
from tests.support.faults.disk import Crash
from tests.support.faults.numbered import OPTIONS, ROWS, inputs_of
from tests.support.small_table import publish


class FaultyBucket(Bucket):
    """Counts its requests and fails at one of them, or dies there for good."""

    at = 0
    afterwards = False
    error: type[BaseException] = RecobatchError
    seen: list[str]

    def arm(self, at: int, *, error: type[BaseException], afterwards: bool) -> None:
        self.at, self.error, self.afterwards, self.seen = at, error, afterwards, []


def _watched(name):
    real = getattr(Bucket, name)

    def watched(self, *args, **kwargs):
        if not self.at:
            return real(self, *args, **kwargs)
        self.seen.append(name)
        now = len(self.seen)
        dead = self.error is Crash and now > self.at
        if dead or (now == self.at and not self.afterwards):
            raise self.error(f"struck at {name}; nobody answers")
        answer = real(self, *args, **kwargs)
        if now == self.at:
            raise self.error(f"struck after {name}; nobody answers")
        return answer

    return watched


for _name in ("read", "write", "upload", "state", "children", "sizes", "delete", "open_file"):
    setattr(FaultyBucket, _name, _watched(_name))


class Inputs:
    """Inputs of the version with a number: every prediction is that number."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[int, ModelFolder] = {}

    def of(self, number: int) -> ModelFolder:
        if number not in self._made:
            self._made[number] = inputs_of(self.folder, number)
        return self._made[number]


def publish_number(table: Table, inputs: Inputs, number: int, *, keep: int = 3) -> None:
    publish(table, f"v{number}", inputs.of(number), options=OPTIONS, top=3, keep=keep)


def check_whole(table: Table) -> int | None:
    """What the pointer lists is whole, to the last pair; returns the number of the current version."""
    for snapshot in table.snapshots():
        assert table.verify(snapshot.version).problems == ()
    current = table.current()
    if current is None:
        return None
    listed = json.loads(table.store.bucket.read("current.json")[0])
    assert [snapshot.version for snapshot in table.snapshots()] == list(listed["snapshots"])
    low, high = (getattr(current.manifest.models["plain"], f"{end}_prediction") for end in ("min", "max"))
    assert low == high == int(current.version[1:])
    assert current.rows == {"plain": ROWS}
    return int(low)


def check_tidy(table: Table) -> None:
    """No object that the pointer does not lead to, and nothing on this machine."""
    listed = json.loads(table.store.bucket.read("current.json")[0])["snapshots"]
    assert table.store.bucket.children("versions")[0] == sorted(listed)
    assert not table.store.bucket.sizes("staging")
    assert not [path for path in table.store.scratch.rglob("*") if path.is_file()]
