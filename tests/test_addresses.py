"""The parts of an address, the secrets in it, and what is left of it where it is shown."""

from pathlib import Path

import pytest

from recobatch.addresses import Address, holds_secret, is_uri, masked, without_secrets

SECRET = {
    "s3://key:hush@bucket/a/b.csv": "s3://bucket/a/b.csv",
    "https://ann:hush@host:1/a.csv": "https://host:1/a.csv",
    "https://hush@host/a.csv": "https://host/a.csv",
    "https://host:1/a.csv?sig=hush#y": "https://host:1/a.csv",
    "https://host/a.csv?v=2&X-Amz-Signature=hush": "https://host/a.csv",
    "https://host/a.csv?access_token=hush&v=2": "https://host/a.csv",
    "s3://bucket/a.csv?access_key=hush": "s3://bucket/a.csv",
    "postgresql+psycopg://me:hush@db/mlflow": "postgresql+psycopg://db/mlflow",
    "simplecache::https://ann:hush@host/a.csv": "simplecache::https://host/a.csv",
    "sftp://ann:hu@sh@host/a.csv": "sftp://host/a.csv",
    "https://ann:p@hush@host/x": "https://host/x",
    "https://ann:it's-hush@host/a.csv": "https://host/a.csv",
}
HARMLESS = {
    "/data/odd?name#1.csv": "/data/odd?name#1.csv",
    "file:///data/a.csv?key=1": "file:///data/a.csv?key=1",
    "ann:pass@here.csv": "ann:pass@here.csv",
    "movielens-100k": "movielens-100k",
    "https://host/a.csv?version=3": "https://host/a.csv",
    "https://host:8080/a.csv": "https://host:8080/a.csv",
    "s3://bucket/a.csv?region=eu-west-1": "s3://bucket/a.csv",
    "abfs://container@account.example/a.csv": "abfs://account.example/a.csv",
    "sqlite:////srv/mlflow.db": "sqlite:////srv/mlflow.db",
}


@pytest.mark.parametrize(("address", "shown"), (SECRET | HARMLESS).items())
def test_an_address_is_shown_without_its_secret(address, shown):
    assert without_secrets(address) == shown


@pytest.mark.parametrize("address", SECRET)
def test_a_password_or_signature_is_found_and_masked_within_a_text(address):
    assert holds_secret(address)
    said = masked(f"401, message='no', url='{address}' and \"{address}\"")
    assert "hush" not in said
    assert "ann" not in said
    assert said.startswith("401, message='no', url='")


@pytest.mark.parametrize("address", [a for a in HARMLESS if not a.startswith("file:")])
def test_other_addresses_are_left_in_peace(address):
    assert not holds_secret(address)


@pytest.mark.parametrize(("text", "parts"), [
    ("predictions", ("", "", "predictions", "", "")),
    ("/data/odd?name#1.csv", ("", "", "/data/odd?name#1.csv", "", "")),
    ("s3://bucket/a/b.csv", ("s3", "bucket", "/a/b.csv", "", "")),
    ("https://host:1/a.csv?v=2#top", ("https", "host:1", "/a.csv", "v=2", "top")),
    ("file:///data/a%20b.csv", ("file", "", "/data/a%20b.csv", "", "")),
])  # fmt: skip
def test_an_address_is_parsed_once(text, parts):
    address = Address.parse(text)
    assert (address.scheme, address.authority, address.path, address.query, address.fragment) == parts
    assert address.is_uri == is_uri(text) == bool(address.scheme)


@pytest.mark.parametrize(("text", "local", "name"), [
    ("data/a.csv", Path("data/a.csv"), "a.csv"),
    ("~/a.csv", Path.home() / "a.csv", "a.csv"),
    ("file:///data/a%20b.csv", Path("/data/a b.csv"), "a%20b.csv"),
    ("s3://bucket/a/b.csv", None, "b.csv"),
    ("s3://bucket", None, "bucket"),
])  # fmt: skip
def test_only_paths_and_file_uris_are_on_this_machine(text, local, name):
    assert Address.parse(text).local == local
    assert Address.parse(text).name == name
