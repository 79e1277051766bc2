"""Parse addresses, which are paths or URIs, and detect and mask the secrets in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from recobatch.errors import BadSettings

OBJECT_STORES = ("s3", "gs", "az")
"""Schemes of the object stores that are written to."""
_USER_INFO = re.compile(r"(\w://)[^/?#\s]*@")
"""User info ends at the last ``@`` of the authority: a password may contain one, or a quote."""
_QUERY = re.compile(r"(\w://[^\s?'\"]*)\?[^\s'\"]*")
_PASSWORD = re.compile(r"\w://[^/?#\s]*:[^/?#\s]*@|https?://[^/?#\s]+@")
"""A user name alone is not a secret, but on http it may be a token; ``abfs://container@account`` is a container."""
_SIGNATURE = re.compile(r"\w://[^\s?]*\?(?:[^#]*&)?[^=&#]*(?:sig|token|key|secret|passw|pwd|auth|cred)[^=&#]*=", re.I)


@dataclass(frozen=True)
class Address:
    """A path or a URI."""

    text: str
    """As it was given."""
    scheme: str = ""
    """Empty for a path."""
    authority: str = ""
    """Host or bucket of a URI."""
    path: str = ""
    """Path within the authority, with its leading slash."""
    query: str = ""
    fragment: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Distinguish a path from a URI, which contains ``://``.

        Raises:
            ValueError: If the host of a URI is malformed.
        """
        if not is_uri(text):
            return cls(text, path=text)
        parts = urlsplit(text)
        return cls(text, parts.scheme, parts.netloc, parts.path, parts.query, parts.fragment)

    @property
    def is_uri(self) -> bool:
        return is_uri(self.text)

    @property
    def local(self) -> Path | None:
        """The path on this machine that a path or a ``file:`` URI names; None for a remote address."""
        if not self.is_uri:
            return Path(self.path).expanduser()
        return Path(url2pathname(self.path)) if self.scheme == "file" else None

    @property
    def name(self) -> str:
        """Last part of the path, else the authority."""
        return Path(self.path).name or self.authority


def object_store_uri(text: str, *, setting: str) -> str | None:
    """The URI of a prefix in an object store, without a slash at its end; None for a path.

    Args:
        text: The address.
        setting: What it is the value of, for the message.

    Raises:
        BadSettings: If it is another URI.
    """
    address = Address.parse(text)
    if not address.is_uri and not text.startswith(tuple(f"{scheme}:/" for scheme in OBJECT_STORES)):
        return None
    expected = f"one of {', '.join(f'{scheme}://' for scheme in OBJECT_STORES)}, a bucket and a prefix"
    if address.scheme not in OBJECT_STORES or not address.authority:
        raise BadSettings(f"{setting}: found {masked(text)[:140]!r}, expected a folder or {expected}; pass another one")
    if "@" in address.authority or address.query or address.fragment:
        raise BadSettings(
            f"{setting}: found a URI of {address.scheme} with more than a bucket and a prefix in it, expected "
            f"{expected}; credentials and endpoint belong into the environment"
        )
    return text.rstrip("/")


def is_uri(where: str) -> bool:
    """Whether an address is a URI, not a path."""
    return "://" in where


def holds_secret(text: str) -> bool:
    """Whether an address contains a password, or a query like that of a signed address.

    A token within the path is not detected.
    """
    return bool(_PASSWORD.search(text) or _SIGNATURE.search(text))


def without_secrets(uri: str) -> str:
    """A path or URI without user, password and query, which may contain a signature."""
    if not is_uri(uri) or uri.startswith("file:"):
        return uri
    return re.split(r"[?#]", _USER_INFO.sub(r"\1", uri), maxsplit=1)[0]


def masked(text: str) -> str:
    """A text with every address in it masked."""
    return _QUERY.sub(r"\1", _USER_INFO.sub(r"\1", text))
