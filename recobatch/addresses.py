"""Parse addresses, which are paths or URIs, and detect and mask the secrets in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus
from urllib.request import url2pathname

from recobatch.errors import BadSettings

OBJECT_STORES = ("s3", "gs", "az")
"""Schemes of the object stores that are written to."""
_URI = re.compile(
    r"(?P<scheme>.*?)://(?P<user>(?!\[)[^/?#:]*:.*@|[^/?#]*@)?(?P<host>[^/?#]*)(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
"""User info ends at the last ``@`` of the authority. Where it has a colon, it ends at the last ``@`` of all: a password
with an unencoded slash would pass for a path otherwise, and be shown."""
_ON_THIS_MACHINE = ("file", "sqlite")
_URI_IN_TEXT = re.compile(r"(['\"]?)([\w.+-]{1,40}://\S*)")
"""Up to a blank, since quotes and brackets may belong to a password; those at the very end belong to the text."""
_SECRET_KEY = re.compile(
    r"sig|token|key|secret|pass|pwd|auth|cred|jwt|hmac|access|bearer|session|(?<![a-z])sas(?![a-z])|^(?:code|pw|sid)$",
    re.IGNORECASE,
)


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
            BadSettings: If user info is followed by another ``@``, or contains what has to be percent-encoded.
            ValueError: If the host of a URI is malformed.
        """
        found = _URI.fullmatch(text)
        if found is None:
            return cls(text, path=text)
        check_encoded(text)
        user, host = found["user"] or "", found["host"]
        if host.count("[") != host.count("]"):
            raise ValueError("a bracket of the host is missing")
        query, fragment = found["query"] or "", found["fragment"] or ""
        return cls(text, found["scheme"].lower(), f"{user}{host}", found["path"], query, fragment)

    @property
    def is_uri(self) -> bool:
        return is_uri(self.text)

    @property
    def user_info(self) -> str:
        """``user:password`` as it is written in the authority; empty if there is none."""
        return self.authority.rpartition("@")[0]

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


def check_encoded(uri: str) -> None:
    """Check that the user info of a URI ends where every reader of it finds its end.

    Raises:
        BadSettings: If it contains what has to be percent-encoded, or another ``@`` follows it.
    """
    found = _URI.fullmatch(uri)
    if found is not None and re.search(r"[/?#\s]", found["user"] or ""):
        raise BadSettings(
            f"{without_secrets(uri)}: found an @ behind a slash, question mark, # or blank in the address, expected "
            f"one at most, behind the password; write these as %2F, %3F, %23 and %20 in a password, and @ elsewhere as "
            f"%40"
        )


def holds_secret(text: str) -> bool:
    """Whether an address contains a password, or a query or fragment like that of a signed address.

    A user name alone is not a secret, but on http it may be a token; ``abfs://container@account`` is a container. A
    token within the path is not detected.
    """
    found = _URI.fullmatch(text)
    if found is None or found["scheme"] in _ON_THIS_MACHINE:
        return False
    user = found["user"] or ""
    has_password = ":" in user or (bool(user) and found["scheme"].lower().endswith(("http", "https")))
    fields = re.split(r"[&;?]", f"{found['query'] or ''}&{found['fragment'] or ''}")
    keys = (unquote_plus(field.partition("=")[0]) for field in fields if "=" in field)
    return has_password or any(_SECRET_KEY.search(key) for key in keys)


def without_secrets(uri: str) -> str:
    """A path or URI without user, password and query, which may contain a signature.

    Where a query or fragment may as well be part of a password, nothing but the scheme is left: what follows the last
    ``@`` is the host then, or the end of a signature.
    """
    found = _URI.fullmatch(uri)
    if found is None or found["scheme"] in _ON_THIS_MACHINE:
        return uri
    if re.search(r"[?#]", found["user"] or ""):
        return f"{found['scheme']}://..."
    page = re.match(r"/[\w/.%-]*", found["fragment"] or "")  # the page of an application, such as MLflow's
    return f"{found['scheme']}://{found['host']}{found['path']}{f'#{page[0]}' if page else ''}"


def masked_value(value: object) -> str:
    """A value as a text: an address masked as a whole, whatever its password holds; else each address in it."""
    text = str(value)
    return without_secrets(text) if re.match(r"[\w.+:-]+://", text) else masked(text)


def masked(text: str) -> str:
    """A text with every address in it masked."""
    return _URI_IN_TEXT.sub(_masked_in_text, text)


def _masked_in_text(found: re.Match[str]) -> str:
    quote, run = found.groups()
    uri = run.rstrip("])},;:.")
    if quote:
        uri = uri.removesuffix(quote)
    return f"{quote}{without_secrets(uri)}{run[len(uri) :]}"
