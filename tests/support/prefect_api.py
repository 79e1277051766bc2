"""Requests to the Prefect server of the tests, which has a password as every server of our own has."""

import base64
import json
import urllib.request

AUTH_STRING = "tests:of-the-tests"


def authorization(auth_string=AUTH_STRING):
    return {"Authorization": f"Basic {base64.b64encode(auth_string.encode()).decode()}"}


def post(url, body, auth_string=AUTH_STRING):
    """POST JSON → JSON."""
    headers = {"Content-Type": "application/json", **authorization(auth_string)}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60) as answer:
        return json.load(answer)
