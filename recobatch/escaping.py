"""Texts of others, such as ids, titles and file names, escaped for the place where they are shown."""

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and those that reverse the direction of what follows."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    r"""A text for a terminal, in which no character moves the cursor or sets a title; ESC becomes ``\x1b``."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def spreadsheet_cell(text: str) -> str:
    """A text for a csv file that people open in a spreadsheet: what would be a formula begins with an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def plain_markdown(text: str) -> str:
    """A text for markdown in which no character acts as markdown or HTML."""
    return re.sub(r"([\\`*\[\]|])", r"\\\1", text).replace("<", "&lt;")


def code_markdown(text: str) -> str:
    """A text for markdown as a span of code, fenced by more backticks than it has in a row."""
    line = printable(" ".join(text.splitlines()) or " ")
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"
