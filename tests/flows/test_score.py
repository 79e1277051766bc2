"""Nightly scoring: the registered champion, and what is new since it was trained."""

import json
import os
import subprocess
import sys
from io import StringIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.results.closing import print_closing
from flows.results.summary import BatchSummary
from recobatch.table import open_table
from recobatch.tracking.registry import RegisteredModel
from recobatch.vocabulary import Vocabulary
from tests.support.summary_keys import undocumented

QUICK = ("--set", "train.epochs=3", "--set", "model.n_factors=4", "--set", "gate.baseline=none", "--json")
HEADER = "userId,movieId,rating,timestamp"

pytestmark = pytest.mark.usefixtures("one_model")


@pytest.fixture(scope="module")
def rows(low_rank):
    """The low-rank truth as lines of csv; times begin at 1,000,000,000."""
    columns = zip(low_rank.user_index, low_rank.item_index, low_rank.rating, low_rank.timestamp, strict=True)
    return [f"u{user:02d},{item + 100},{rating:.4f},{10**9 + time}" for user, item, rating, time in columns]


@pytest.fixture
def table(request):
    """Name of the table of this test."""
    return request.node.name[5:25]


@pytest.fixture
def nightly(recobatch, at_project, rows, table, finished):
    """A champion trained on ``growing/ratings.csv``, which a callable then appends to and scores."""
    ratings = at_project / "growing" / "ratings.csv"
    ratings.parent.mkdir(exist_ok=True)

    def write(lines):
        ratings.write_text("\n".join([HEADER, *lines]) + "\n")

    write(rows)
    ratings.with_name("items.csv").write_text("movieId,title\n" + "".join(f"{n},Film {n}\n" for n in range(100, 150)))
    if "trained" not in finished:  # the tests only read the champion
        finished["trained"] = trained = recobatch("train", ratings, *QUICK)
        assert trained.code == 0, trained.err

    def nightly(added, *more):
        write([*rows, *added])
        return recobatch("score", "--table", table, "--json", *more)

    return nightly


@pytest.fixture
def select(at_project, table):
    """The rows of a query of the published predictions, which are its ``{table}``."""

    def select(query):
        files = at_project / table / "current" / "champion" / "*.parquet"
        return duckdb.sql(query.format(table=f"'{files}'")).fetchall()

    return select


def test_a_night_without_arguments_counts_marks_and_takes_in_what_is_new(
    nightly, at_project, recobatch, rows, table, select
):
    unrated = next(f"u00,{item}" for item in range(100, 140) if not any(row.startswith(f"u00,{item},") for row in rows))
    again = ",".join(rows[0].split(",")[:2])
    added = [f"{unrated},4.5,2000000000", f"{again},2.5,2000000001", "u00,149,5,2000000002", "zoe,101,3,2000000003"]

    outcome = nightly(added)
    assert outcome.code == 0, outcome.err
    news = outcome.json["data"]["news"]
    assert (news["new_ratings"], news["rated_again"], news["users_with_new_ratings"]) == (4, 1, 2)
    assert news["unknown_users"] == {"count": 1, "first": ["zoe"]}
    assert news["unknown_items"] == {"count": 1, "first": [149]}
    assert outcome.json["data"]["users"] == 60
    assert outcome.json["table"]["rows"] == {outcome.json["champion"]: 2400}
    assert select("SELECT sum(rated::int) FROM {table}") == [(len(rows) + 1,)]
    before = select("SELECT user_id, item_id, prediction FROM {table}")

    outcome = nightly(added, "--set", "score.unknown=biases", "--set", "drift.prediction_shift=null")
    assert outcome.code == 0, outcome.err
    assert (outcome.json["data"]["users"], outcome.json["data"]["items"]) == (61, 41)
    query = "SELECT count(*), count(DISTINCT (user_id, item_id)), sum(rated::int), bool_and(isfinite(prediction))"
    assert select(query + " FROM {table}") == [(61 * 41, 61 * 41, len(rows) + 3, True)]
    after = {row[:2]: row[2] for row in select("SELECT user_id, item_id, prediction FROM {table}")}
    assert all(after[user, item] == pytest.approx(was, abs=1e-5) for user, item, was in before)

    users, items = (
        {
            row[f"{side}_id"]: row
            for row in pq.read_table(at_project / table / "current" / f"{side}s.parquet").to_pylist()
        }
        for side in ("user", "item")
    )
    assert (len(users), len(items)) == (61, 41)
    assert (users["zoe"]["ratings"], items[149]["ratings"], items[149]["title"]) == (1, 1, "Film 149")
    assert all(row["sd"] > 0 for row in (*users.values(), *items.values()))
    best = recobatch("top", "zoe", "--table", table, "-k", "40", "--json").json["items"]
    assert len(best) == 40, "all but the one that zoe has rated"
    assert all(row["lower_90"] <= row["prediction"] <= row["upper_90"] for row in best)
    assert all(row["title"] == f"Film {row['item_id']}" and row["item_id"] != 101 for row in best)
    manifest = json.loads((at_project / table / "current" / "manifest.json").read_text())
    (model,) = manifest["models"].values()
    for column, fingerprint in (("user_id", "users_fingerprint"), ("item_id", "items_fingerprint")):
        ids = [value for (value,) in select(f"SELECT DISTINCT {column} FROM {{table}}")]
        assert Vocabulary.build(pa.array(ids)).fingerprint == model[fingerprint]


def test_a_night_with_nothing_new_publishes_nothing(nightly, at_project, table):
    first = nightly([])
    assert first.code == 0, first.err
    again = nightly([]).json
    assert undocumented(first.json) == undocumented(again) == []
    assert again["unchanged"]
    assert again["table"]["version"] == first.json["table"]["version"]
    assert not list((at_project / table / "versions").glob(".*")), "nothing was staged"
    print_closing(BatchSummary.from_dict(again), shown := StringIO())
    assert "Nothing new since the published batch" in shown.getvalue()
    forced = nightly([], "--force").json
    assert "unchanged" not in forced
    assert forced["table"]["version"] != first.json["table"]["version"]
    (at_project / "growing" / "items.csv").write_text("movieId,title\n100,Another title\n")
    renamed = nightly([]).json
    assert "unchanged" not in renamed
    titles = pq.read_table(at_project / table / "current" / "titles.parquet")
    assert titles.to_pylist() == [{"item_id": 100, "title": "Another title"}]
    open_table(at_project / table).rollback()
    assert nightly([]).json["rolled_back"] == renamed["table"]["version"]


@pytest.mark.long
def test_without_its_ratings_the_champion_scores_what_it_was_trained_with(
    nightly, at_project, recobatch, rows, table, select
):
    nightly([])
    (at_project / "growing" / "ratings.csv").unlink()
    outcome = recobatch("score", "--table", table, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["data"] == {
        "ratings": len(rows), "users": 60, "items": 40, "first_user": "u00", "news": None,
    }  # fmt: skip
    assert select("SELECT sum(rated::int) FROM {table}") == [(len(rows),)]
    print_closing(BatchSummary.from_dict(outcome.json), shown := StringIO())
    assert "No ratings were read" in shown.getvalue()
    assert 'filters=[("user_id", "==", "u00")])' in shown.getvalue()
    assert f"recobatch top --table {table} u00\n" in shown.getvalue()
    named = recobatch("score", at_project / "growing" / "ratings.csv", "--table", table)
    assert named.code == 2
    assert "found nothing there" in named.refusal


@pytest.mark.long
def test_ratings_that_cannot_be_read_are_not_taken_as_deleted(nightly, at_project, recobatch, table):
    """As root reads every file, a link that leads to itself stands for one that may not be read."""
    version = nightly([]).json["table"]["version"]
    ratings = at_project / "growing" / "ratings.csv"
    ratings.unlink()
    ratings.symlink_to(ratings.name)
    try:
        outcome = recobatch("score", "--table", table, "--json")
    finally:
        ratings.unlink()
    assert outcome.code == 2, outcome.out
    assert "growing/ratings.csv: found a path that cannot be opened" in outcome.refusal
    assert open_table(at_project / table).current().version == version


@pytest.mark.long
def test_each_run_has_its_own_copy_of_the_champion(nightly, recobatch, monkeypatch, at_project):
    """Two tables may be scored at once: neither run may remove what the other reads."""
    folders = []
    download = RegisteredModel.download

    def recorded(model, folder):
        folders.append(folder)
        return download(model, folder)

    monkeypatch.setattr(RegisteredModel, "download", recorded)
    nightly([], "--force")
    assert recobatch("score", "--table", "elsewhere").code == 0
    assert len(set(folders)) == 2
    assert not [folder for folder in folders if folder.exists()]
    assert not list((at_project / ".recobatch" / "work").glob("*champion*"))


@pytest.mark.long
def test_ratings_that_are_named_may_be_only_the_new_ones(nightly, at_project, recobatch, rows, table, select):
    nightly([])
    (at_project / "growing" / "since.csv").write_text(f"{HEADER}\nu01,100,4,2000000000\nu02,100,4,2000000000\n")
    outcome = recobatch("score", "growing/since.csv", "--table", table, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["data"]["news"]["ratings"] == 2
    known = sum(row.startswith(("u01,100,", "u02,100,")) for row in rows)
    assert select("SELECT sum(rated::int) FROM {table}") == [(len(rows) + 2 - known,)]


@pytest.mark.long
def test_a_whole_night_imports_no_tensorflow(nightly, at_project, prefect_api):
    program = (
        "import sys\nfrom flows.cli.commands import main\ntry:\n    main()\nfinally:\n"
        "    print([name for name in ('prefect', 'mlflow', 'tensorflow', 'keras') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, "score", "--table", "light", "--set", "score.unknown=biases"]
    env = {**os.environ, "PREFECT_API_URL": prefect_api}
    done = subprocess.run(command, cwd=at_project, env=env, capture_output=True, text=True, check=True, timeout=200)
    assert "0 new ratings of 0 users since training." in done.stdout
    assert done.stdout.splitlines()[-1] == "['prefect', 'mlflow']"
