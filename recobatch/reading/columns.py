"""Which column of a file is the user, the item, the rating and the time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from recobatch.errors import BadRatings
from recobatch.reading.options import ReadOptions

KNOWN_NAMES = {
    "user": "user userid uid userindex username usercode useruuid customer customerid client clientid member memberid "
    "visitor visitorid reviewer reviewerid account accountid profile profileid person personid",
    "item": "item itemid iid itemindex itemcode movie movieid film filmid show showid product productid productcode "
    "sku asin book bookid isbn song songid track trackid artist artistid article articleid business businessid "
    "game gameid app appid anime animeid recipe recipeid joke jokeid content contentid",
    "rating": "rating ratings score scores star stars starrating overall overallrating ratingvalue ratingscore grade "
    "bookrating movierating productrating reviewscore",
    "time": "timestamp time ts unixtimestamp unixtime unixreviewtime epoch datetime date ratedat ratingdate "
    "ratingtime ratingtimestamp reviewtime reviewdate eventtime eventtimestamp createdat created",
}
"""Names by which a column is recognised, in lower case and without punctuation."""

_ROLES = {role: frozenset(names.split()) for role, names in KNOWN_NAMES.items()}
_REQUIRED = ("user", "item", "rating")


@dataclass(frozen=True)
class Columns:
    """Positions, from 0, of the columns to read."""

    user: int
    item: int
    rating: int
    time: int | None

    def by_role(self) -> dict[str, int]:
        roles = {"user": self.user, "item": self.item, "rating": self.rating}
        return roles if self.time is None else {**roles, "time": self.time}


def known_role(name: str) -> str | None:
    """The role of a column by its name, ignoring case and punctuation."""
    plain = re.sub(r":(token|float)(_seq)?$", "", name.strip().lower())  # RecBole writes user_id:token
    plain = re.sub(r"[\W_]+", "", plain)
    return next((role for role, names in _ROLES.items() if plain in names), None)


def find_columns(
    names: Sequence[str], options: ReadOptions, where: str, *, named: bool, partitions: Sequence[str] = ()
) -> Columns:
    """Match columns with roles: by the caller's options, by known names, or by position in a file without names.

    Args:
        names: The columns' names, or their positions as text.
        options: Columns that the caller names.
        where: Name of the file in error messages.
        named: Whether ``names`` are names; without names, the columns are user, item, rating and, if present, time.
        partitions: Columns that the file's folders name. Their positions follow those of the file's own columns, which
            come first where both could be meant.

    Raises:
        BadRatings: If an expected column is missing, or more than one matches.
    """
    found: dict[str, int] = {}
    for role in ("user", "item", "rating", "time"):
        wanted = getattr(options, f"{role}_column")
        if role == "time" and wanted == "":
            continue
        if wanted is not None and str(wanted) in partitions and str(wanted) not in names:
            found[role] = len(names) + partitions.index(str(wanted))
        elif wanted is not None:
            found[role] = _requested(names, wanted, role, where, named=named)
        elif named:
            position = _recognised(names, role, where)
            if position is None and (below := _recognised(partitions, role, where)) is not None:
                position = len(names) + below
            if position is not None:
                found[role] = position
    if not named:
        _fill_by_position(found, len(names), options)
    _check(found, (*names, *partitions), where)
    return Columns(found["user"], found["item"], found["rating"], found.get("time"))


def _requested(names: Sequence[str], wanted: str | int, role: str, where: str, *, named: bool) -> int:
    matches = [position for position, name in enumerate(names) if named and name.strip() == str(wanted)]
    if len(matches) > 1:
        raise BadRatings(
            f"{where}: found {len(matches)} columns named {wanted!r}, expected one for the {role}; "
            f"pass --{role}-column with its position from 0"
        )
    if matches:
        return matches[0]
    if str(wanted).isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise BadRatings(
        f"{where}: found no column {wanted!r} among {_shown(names, named=named)}, expected it as the {role}; "
        f"pass --{role}-column with one of them"
    )


def _recognised(names: Sequence[str], role: str, where: str) -> int | None:
    matches = [position for position, name in enumerate(names) if known_role(name) == role]
    if len(matches) > 1:
        candidates = ", ".join(repr(names[position]) for position in matches[:5])
        raise BadRatings(
            f"{where}: found {len(matches)} columns that could be the {role} ({candidates}), expected one; "
            f"pass --{role}-column with its name or its position from 0"
        )
    return matches[0] if matches else None


def _fill_by_position(found: dict[str, int], width: int, options: ReadOptions) -> None:
    for position, role in enumerate(("user", "item", "rating", "time")):
        ignored = role == "time" and options.time_column == ""
        if role not in found and position < width and position not in found.values() and not ignored:
            found[role] = position


def _check(found: dict[str, int], names: Sequence[str], where: str) -> None:
    missing = [role for role in _REQUIRED if role not in found]
    if missing:
        options = " and ".join(f"--{role}-column" for role in missing)
        raise BadRatings(
            f"{where}: found no column for the {' and the '.join(missing)} among {_shown(names, named=True)}, expected "
            f"user, item and rating; pass {options} (a name, or a position from 0)"
        )
    for role, position in found.items():
        twin = next((other for other, place in found.items() if place == position and other != role), None)
        if twin:
            raise BadRatings(
                f"{where}: found column {names[position]!r} as both {role} and {twin}, expected two columns; "
                f"pass --{role}-column and --{twin}-column"
            )


def _shown(names: Sequence[str], *, named: bool) -> str:
    if not named:
        return f"{len(names)} columns without names (positions 0 to {len(names) - 1})"
    return ", ".join(repr(name[:40]) for name in names[:5]) + (", …" if len(names) > 5 else "")
