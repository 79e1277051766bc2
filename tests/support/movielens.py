"""MovieLens 100k as the job itself gets it, in the layouts that people have it in."""

import csv
import shutil
from pathlib import Path

from recobatch.sources.movielens import NAME, fetch

CACHE = Path.home() / ".cache" / "recobatch" / NAME


def write_layouts(folder: Path) -> Path:
    """Write ``u.data``, ``ratings.csv``, ``u.item`` and ``items.csv``; fetched where the cache does not have them."""
    ratings, titles = fetch(CACHE)
    assert titles is not None
    folder.mkdir(exist_ok=True)
    shutil.copyfile(ratings, folder / "u.data")
    rows = ratings.read_text(encoding="ascii").replace("\t", ",")
    (folder / "ratings.csv").write_text(f"user_id,movie_id,rating,unix_timestamp\n{rows}", encoding="ascii")
    with titles.open(encoding="utf-8", newline="") as file:
        named = list(csv.reader(file))[1:]
    (folder / "u.item").write_text("".join(f"{item}|{title}|01-Jan-1995\n" for item, title in named), "latin-1")
    with (folder / "items.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("movie_id", "title"), *named])
    return folder
