"""Buckets for tests of tables in object stores: on a real S3 server, and in memory."""

import json
import uuid
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from obstore.store import MemoryStore

from recobatch.storage.bucket import Bucket
from recobatch.table import Table
from recobatch.table.object_store import ObjectStore


def in_memory(scratch: Path, bucket: type[Bucket] = Bucket) -> Table:
    """A table in a store of its own."""
    return Table(ObjectStore(bucket(f"memory://{uuid.uuid4().hex}", MemoryStore()), scratch))


def another_handle(table: Table, scratch: Path) -> Table:
    """The same table as another machine has it: other scratch, and a process that knows of nothing."""
    ours = table.store.bucket
    return Table(ObjectStore(type(ours)(f"{ours.uri}#elsewhere", ours._store), scratch))


class S3Place:
    """An empty bucket on the server, and what lies in it, seen without our code."""

    def __init__(self) -> None:
        self.name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client = boto3.client("s3")
        self.client.create_bucket(Bucket=self.name)
        self.uri = f"s3://{self.name}/tables/predictions"

    def names(self) -> list[str]:
        """Names of all objects below the table's URI."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return sorted(key.removeprefix("tables/predictions/") for key in keys)

    def names_below(self, prefix: str) -> list[str]:
        return [name for name in self.names() if name.startswith(prefix)]

    def read(self, name: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=f"tables/predictions/{name}")["Body"].read()

    def put(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=f"tables/predictions/{name}", Body=content)

    def delete(self, name: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=f"tables/predictions/{name}")

    def pointer(self) -> dict:
        return json.loads(self.read("current.json"))

    def read_table(self) -> pa.Table:
        """The champion's predictions as a consumer gets them: the pointer once, then the folder that it names."""
        return self._read(self.pointer()["table"])

    def read_top(self, user: int) -> list[dict]:
        """The best unseen items of a user, from ``top/``."""
        pointer = self.pointer()
        place = f"versions/{pointer['version']}/top/model={pointer['champion']}"
        return self._read(place, filters=[("user_id", "==", user)]).sort_by("rank").to_pylist()

    def _read(self, place: str, **how: Any) -> pa.Table:
        filesystem, path = pyarrow.fs.FileSystem.from_uri(f"{self.uri}/{place}")
        return pq.read_table(path, filesystem=filesystem, partitioning=None, **how)
