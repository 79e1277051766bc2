"""The parts of an address, the secrets in it, and what is left of it where it is shown."""

import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recobatch.addresses import Address, check_encoded, holds_secret, is_uri, masked, masked_value, without_secrets
from recobatch.errors import BadSettings

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
    'https://ann:it"s-hush@host/a.csv': "https://host/a.csv",
    "https://ann:hu/sh-hush@host/a.csv": "https://host/a.csv",
    "https://ann:12/hush@host/a.csv": "https://host/a.csv",
    "https://ann:hu#sh-hush@host/a.csv": "https://...",
    "https://ann:hu?sh-hush@host/a.csv": "https://...",
    "https://host:80/a.csv?sig=x@hush": "https://...",
    "https://ann:x@host?pass=@hush": "https://...",
    "https://ann:hush@[::1]:80/a.csv": "https://[::1]:80/a.csv",
    "https://host/a.csv?pass=hush": "https://host/a.csv",
    "https://host/a.csv?code=hush'hush": "https://host/a.csv",
    "https://host/a.csv?jwt=hush": "https://host/a.csv",
    "https://host/a.csv?v=1&sas=hush": "https://host/a.csv",
    "https://host/a.csv?hmac=hush": "https://host/a.csv",
    "https://host/a.csv?v=1;access=hush": "https://host/a.csv",
    "https://host/a.csv?%73%69g=hush": "https://host/a.csv",
    "https://host/a.csv#access_token=hush": "https://host/a.csv",
    "https://host/#/page?access_token=hush": "https://host/#/page",
    "https://host/a.csv?v=1#/page&token=hush": "https://host/a.csv#/page",
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
    "sqlite:////srv/a:b@c#d/mlflow.db": "sqlite:////srv/a:b@c#d/mlflow.db",
    "https://host/ann@home/a.csv": "https://host/ann@home/a.csv",
    "http://[::1]:80/ann@home/a.csv": "http://[::1]:80/ann@home/a.csv",
    "https://host/a.csv?country_code=DE&kansas=1": "https://host/a.csv",
    "http://host:5000/#/experiments/1/runs/2": "http://host:5000/#/experiments/1/runs/2",
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


SAFE = string.ascii_lowercase + string.digits
names = st.text(SAFE, min_size=1, max_size=8)
hosts = st.builds("{}.{}{}".format, names, names, st.sampled_from(["", ":1", ":8080"]))
paths = st.lists(names, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts))
printed = st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=("Z", "C"))
"""Of a secret that is part of a longer text; a blank would end its address there."""
encodings = st.sampled_from([str, lambda text: quote(text, safe="")])


@st.composite
def secret_addresses(draw, alphabet=printed):
    """An address and the secret in it: ``SECRET`` with anything around it."""
    secret = draw(encodings)(f"{draw(st.text(alphabet, max_size=6))}SECRET{draw(st.text(alphabet, max_size=6))}")
    scheme, host, path = draw(st.sampled_from(["http", "https", "s3", "sftp", "postgresql"])), draw(hosts), draw(paths)
    key = draw(
        st.sampled_from(["pass", "Code", "jwt", "sas", "hmac", "access", "X-Amz-Signature", "api_key", "p%61ss"])
    )
    before = draw(st.sampled_from(["", "v=1&", "v=1;"]))
    return draw(
        st.sampled_from(
            [
                f"{scheme}://{draw(names)}:{secret}@{host}{path}",
                f"{scheme}://{draw(names)}:{secret}@{host}{path}?v=3",
                f"{scheme}://{draw(names)}:x@{host}{path}?{before}{key}={secret}",
                f"{scheme}://{host}{path}?{before}{key}={secret}",
                f"{scheme}://{host}{path}#{before}{key}={secret}",
            ]
        )
    )


def parsed_or_refused(address):
    """What may be shown of the parts of an address, or the message that refuses it."""
    try:
        parsed = Address.parse(address)
    except BadSettings as refused:
        return str(refused)
    return f"{parsed.scheme}{parsed.authority.rpartition('@')[2]}{parsed.path}"


@pytest.mark.long
@settings(max_examples=1000)
@given(secret_addresses(st.characters(exclude_categories=("Cs",))))
@example("https://ann:p@ss w/SECRET#@host.x/a")
@example("http://0:x@0.0?pass=@SECRET")
def test_nothing_of_a_secret_is_left_of_an_address(address):
    assert holds_secret(address)
    assert "SECRET" not in without_secrets(address)
    assert "SECRET" not in masked_value(address)
    assert "SECRET" not in parsed_or_refused(address)


@pytest.mark.long
@settings(max_examples=1000)
@given(secret_addresses(), st.sampled_from(["'{}'", '"{}"', "({})", "it={}, ", "{}: found", "['{}', 'b@c']", "{}"]))
def test_nothing_of_a_secret_is_left_of_a_text_with_an_address_in_it(address, around):
    assert "SECRET" not in masked(f"401, url={around.format(address)} and {around.format(address)}")


@pytest.mark.parametrize("address", ["https://ann:pa/ss@host/x", "https://ann:p s@host/x", "http://host:80/ann@home"])
def test_a_password_that_hides_its_end_is_refused(address):
    with pytest.raises(BadSettings, match=r"^https?://[a-z/]*: found an @ behind a slash.*expected one .*as %2F"):
        check_encoded(address)
    with pytest.raises(BadSettings):
        Address.parse(address)
