"""Addresses that may hold a password or a signature: whether they do, and how they may be shown."""

import re

_USER_INFO = re.compile(r"(\w://)[^/?#\s]*@")
"""User info ends at the last ``@`` of the authority: a password may hold one, and a quote too."""
_QUERY = re.compile(r"(\w://[^\s?'\"]*)\?[^\s'\"]*")
_PASSWORD = re.compile(r"\w://[^/?#\s]*:[^/?#\s]*@|https?://[^/?#\s]+@")
"""A user alone is none, but on the web it may well be a token; ``abfs://container@account`` names a place."""
_SIGNATURE = re.compile(r"\w://[^\s?]*\?(?:[^#]*&)?[^=&#]*(?:sig|token|key|secret|passw|pwd|auth|cred)[^=&#]*=", re.I)


def is_uri(where: str) -> bool:
    """Whether a place is a URI and not a path."""
    return "://" in where


def holds_secret(text: str) -> bool:
    """Whether an address has a password in it, or a query such as signed addresses have.

    A token that is a part of the path cannot be told from a name.
    """
    return bool(_PASSWORD.search(text) or _SIGNATURE.search(text))


def without_secrets(uri: str) -> str:
    """A path or URI as it may be shown: no user and password, and no query, since that may hold a signature."""
    if "://" not in uri or uri.startswith("file:"):
        return uri
    return re.split(r"[?#]", _USER_INFO.sub(r"\1", uri), maxsplit=1)[0]


def masked(text: str) -> str:
    """A text with every address in it as it may be shown."""
    return _QUERY.sub(r"\1", _USER_INFO.sub(r"\1", text))
