"""Detect passwords and signatures in addresses, and mask them."""

import re

_USER_INFO = re.compile(r"(\w://)[^/?#\s]*@")
"""User info ends at the last ``@`` of the authority: a password may contain one, or a quote."""
_QUERY = re.compile(r"(\w://[^\s?'\"]*)\?[^\s'\"]*")
_PASSWORD = re.compile(r"\w://[^/?#\s]*:[^/?#\s]*@|https?://[^/?#\s]+@")
"""A user name alone is not a secret, but on http it may be a token; ``abfs://container@account`` is a container."""
_SIGNATURE = re.compile(r"\w://[^\s?]*\?(?:[^#]*&)?[^=&#]*(?:sig|token|key|secret|passw|pwd|auth|cred)[^=&#]*=", re.I)


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
    if "://" not in uri or uri.startswith("file:"):
        return uri
    return re.split(r"[?#]", _USER_INFO.sub(r"\1", uri), maxsplit=1)[0]


def masked(text: str) -> str:
    """A text with every address in it masked."""
    return _QUERY.sub(r"\1", _USER_INFO.sub(r"\1", text))
