"""Fingerprints of values."""

from recobatch.storage.fingerprints import fingerprint


def test_fingerprints_ignore_the_order_of_keys():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1}) != fingerprint({"a": 1, "b": [3]})
