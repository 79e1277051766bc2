"""Unusual input that is taken as it was meant."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Odd:
    """Something unusual in a file that is taken as it was meant."""

    gets: str
    of: str
    """The file among ``ODD_FILES`` that has it."""
    users: tuple[int | str, ...] = ()
    """Ids that the published table then has."""
    items: tuple[int | str, ...] = ()
    times: tuple[int | None, ...] = ()
    """Unix seconds that the clean ratings then have."""


TEXTS = {
    "quoted commas": ('"Doe, Jane"', "Doe, Jane", "part of the id"),
    "ids with spaces": (" ann b ", "ann b", "kept within, trimmed around"),
    "unicode ids": ("žluťoučký 😀", "žluťoučký 😀", "kept, no normal form is imposed"),
    "a formula as an id": ("=1+1", "=1+1", "text like any other"),
    "a path as an id": ("../../etc/passwd", "../../etc/passwd", "text: ids never become paths"),
    "ids of 2^63 and more": (str(2**63), str(2**63), "kept; the whole column is text"),
    "numbers and texts as ids": ("7", "7", "kept; the whole column is text"),
    "leading zeros": ("007", "007", "kept; the whole column is text"),
    "`null` in quotation marks": ('"null"', "null", "an id; bare it is none"),
    "`nan` in quotation marks": ('"nan"', "nan", "an id; bare it is none"),
}  # fmt: skip
NUMBERS = (-5, 0, 3, 2**63 - 1)
LONELY = 99
MILLISECONDS, FUTURE = 881_250_949_123, 32_503_680_000_000

ODD: dict[str, Odd] = {
    "a BOM, CRLF, blank lines": Odd("read past", "texts", users=("Doe, Jane",)),
    **{given: Odd(gets, "texts", users=(published,)) for given, (_, published, gets) in TEXTS.items()},
    "no header, tabs": Odd("user, item, rating, time in this order", "numbers", users=NUMBERS),
    "negative and zero ids": Odd("integers like any other", "numbers", users=(-5, 0), items=(-1, 0)),
    "a user with one rating": Odd("scored", "numbers", users=(LONELY,)),
    "milliseconds instead of seconds": Odd("turned to seconds", "numbers", times=(MILLISECONDS // 1000,)),
    "missing times": Odd("kept, the time is null", "numbers", times=(None,)),
    "future times": Odd("kept", "numbers", times=(FUTURE // 1000,)),
    "latin-1": Odd("decoded as Latin-1", "latin-1", users=("zoé",), items=("Misérables 3",)),
    "one user": Odd("trained on", "latin-1", users=("zoé",)),
}


def _texts() -> bytes:
    rows = [
        f"{written},{item},{1 + (len(written) + item) % 5}" for written, _, _ in TEXTS.values() for item in range(6)
    ]
    return ("\ufeff" + "\r\n\r\n".join(["user,item,rating", *rows]) + "\r\n").encode()


def _numbers() -> bytes:
    times = {(-5, -1): "", (0, 0): str(FUTURE)}
    pairs = [(user, item) for user in NUMBERS for item in range(-1, 6)] + [(LONELY, 0)]
    rows = [(u, i, 1 + (u + i) % 5, times.get((u, i), str(MILLISECONDS))) for u, i in pairs]
    return "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()


def _latin() -> bytes:
    rows = "".join(f"zoé,Misérables {item},{1 + item % 5}\n" for item in range(10))
    return f"user,item,rating\n{rows}".encode("latin-1")


ODD_FILES = {"texts": _texts(), "numbers": _numbers(), "latin-1": _latin()}
