"""Lists through the whole job: a model of interest, what they are ranked by, their figures, and the gate."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from recobatch.model_folder import INTEREST_FILE
from tests.support.flow_servers import tracking_address

QUICK = (
    "--set=train.epochs=2", "--set=model.n_factors=4", "--set=gate.baseline=none", "--set=models=explicit_mf_bias",
    "--set=interest.ease_rank=8", "--set=tracking.registered_model=lists", "--json",
)  # fmt: skip
OTHERS = "--set=tracking.registered_model=other-lists"
"""Registry of batches of other settings or ratings: what nights score is the champion of those below."""
MODEL = "explicit_mf_bias"


@pytest.fixture
def batch(recobatch, ratings_csv):
    return lambda *more: recobatch("run", ratings_csv, *QUICK, *more)


@pytest.fixture
def ranked(batch, finished):
    """The summary of a batch whose table ``ranked`` no test changes."""
    if not finished:
        outcome = batch("--table", "ranked")
        assert outcome.code == 0, outcome.err
        finished["summary"] = outcome.json
    return finished["summary"]


def read(project, table, kind):
    return pq.read_table(project / table / "current" / kind / f"model={MODEL}", partitioning=None).to_pandas()


def test_lists_are_ranked_by_what_won_and_shown_alike_everywhere(ranked, recobatch, at_project):
    model, interest = ranked["models"][MODEL], ranked["interest"]
    assert model["rank_by"] == interest["rank_by"] == model["rankings"]["rank_by"]
    assert {"interest", "product", "prediction", "popularity"} == set(interest["validation_ndcg"])
    assert set(model["rankings"]["other_ways"]) == {"interest", "product", "prediction"} - {model["rank_by"]}
    for figures in (model["rankings"], ranked["baselines"]["popularity"]["rankings"]):
        assert 0 <= figures["ndcg_at_10"] <= 1
        assert sum(group["members"] for group in figures["by_item_popularity"]) == 40
    top, table = read(at_project, "ranked", "top"), read(at_project, "ranked", "table")
    assert (top.groupby("user_id")["score"].diff().dropna() <= 0).all()
    both = top.merge(table, on=["user_id", "item_id"], suffixes=("", "_of_table"))
    assert len(both) == len(top)
    assert np.array_equal(both["prediction"].to_numpy(), both["prediction_of_table"].to_numpy())
    assert not both["rated"].any()
    shown = recobatch("top", "u03", "--table", "ranked", "--json").json["items"]
    assert [item["item_id"] for item in shown] == top[top["user_id"] == "u03"]["item_id"].tolist()[:10]


def test_the_run_of_interest_and_the_figures_are_in_mlflow(ranked, at_project):
    from mlflow import MlflowClient

    summary = ranked
    client = MlflowClient(tracking_address(at_project))
    run = client.get_run(summary["interest"]["mlflow_run_id"])
    assert (run.info.status, run.data.tags["model"]) == ("FINISHED", "interest")
    assert run.data.params["chosen"] == summary["interest"]["chosen"]
    assert run.data.metrics["validation_popularity_ndcg"] == summary["interest"]["validation_ndcg"]["popularity"]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "interest")] == [f"interest/{INTEREST_FILE}"]
    of_model = client.get_run(summary["models"][MODEL]["mlflow_run_id"])
    rankings = summary["models"][MODEL]["rankings"]
    for name in ("ndcg_at_10", "recall_at_10", "map_at_10", "hit_rate_at_10", "coverage", "popularity", "novelty"):
        assert of_model.data.metrics[name] == pytest.approx(rankings[name])
    assert not [name for name in of_model.data.metrics if name.startswith(("by_", "baseline_"))]  # a chart for each
    popularity = summary["baselines"]["popularity"]["rankings"]["ndcg_at_10"]
    assert float(of_model.data.params["fact.baseline_popularity_ndcg_at_10"]) == pytest.approx(popularity)
    assert client.search_model_versions(f"run_id = '{run.info.run_id}'") == []


@pytest.mark.long
@pytest.mark.usefixtures("ranked")
def test_a_stage_of_interest_is_reused_and_its_bits_do_not_change(batch, copied, at_project):
    copied("ranked", "bits")
    before = read(at_project, "bits", "top")
    forced = batch("--table", "bits", "--force").json
    assert "train interest" in forced["reused"]
    assert forced["change"]["overlap_at_10"] == 1
    assert read(at_project, "bits", "top").equals(before)
    batch("--table", "bits", "--fresh")
    assert read(at_project, "bits", "top").equals(before)


@pytest.mark.long
def test_the_notebook_has_no_interest_and_ranks_by_prediction(recobatch, ratings_csv, at_project):
    quick = [each for each in QUICK if "interest" not in each]
    summary = recobatch("run", ratings_csv, *quick, OTHERS, "--preset", "notebook", "--table", "plain").json
    assert "interest" not in summary
    assert summary["models"][MODEL]["rank_by"] == "prediction"
    assert summary["models"][MODEL]["rankings"]["other_ways"] == {}
    top = read(at_project, "plain", "top")
    assert (top.groupby("user_id")["prediction"].diff().dropna() <= 0).all()


@pytest.mark.long
def test_scoring_ranks_by_the_interest_of_now(ranked, recobatch, ratings_csv, at_project):
    scored = recobatch("score", ratings_csv, *QUICK, "--table", "night")
    assert scored.code == 0, scored.err
    assert scored.json["models"][MODEL]["rank_by"] == ranked["models"][MODEL]["rank_by"]
    evening, night = (read(at_project, table, "top") for table in ("ranked", "night"))
    same = (evening["item_id"] == night["item_id"]).mean()
    assert same > 0.95  # in closed form from the same ratings: nearly the factors that the training ended with
    rated = ratings_csv.with_name("more.csv")
    liked = night[(night["user_id"] == "u03") & (night["rank"] == 1)]["item_id"].item()
    rated.write_text(ratings_csv.read_text() + f"u03,{liked},5.0,99999\n")
    more = recobatch("score", rated, *QUICK, "--table", "night")
    assert more.code == 0, more.err
    assert 0 < more.json["change"]["overlap_at_10"] < 1
    later = read(at_project, "night", "top")
    assert liked not in later[later["user_id"] == "u03"]["item_id"].tolist()
    others = night["user_id"] != "u03"
    assert later[later["user_id"] != "u03"]["item_id"].tolist() == night[others]["item_id"].tolist()


@pytest.mark.long
def test_lists_worse_than_popularity_are_not_published(recobatch, ml100k_dir, at_project):
    given = (
        "--set=train.epochs=2", "--set=models=explicit_mf_bias", "--set=gate.baseline=none",
        "--set=interest.method=none", "--set=tracking.registered_model=lists", "--table", "worse", "--json",
    )  # fmt: skip
    refused = recobatch("run", ml100k_dir / "ratings.csv", *given)
    assert refused.code == 3
    assert "gate.ranking: found lists of explicit_mf_bias by prediction with NDCG@10 0." in refused.refusal
    assert "expected no less than the 0.1717 of lists by popularity; nothing was published" in refused.refusal
    assert "--set gate.ranking=none" in refused.refusal
    assert not (at_project / "worse" / "current").exists()


@pytest.mark.long
@pytest.mark.parametrize(("bound", "code"), [("0", 0), ("1", 3)])
@pytest.mark.usefixtures("ranked")
def test_lists_that_share_too_little_with_the_published_are_refused(batch, copied, bound, code):
    copied("ranked", table := f"shared-{bound}")
    other = batch(
        "--table", table, OTHERS, "--set=seed=3", "--set=top.rank_by=prediction", "--set=gate.ranking=none",
        f"--set=drift.overlap={bound}", "--set=drift.prediction_shift=null",
    )  # fmt: skip
    assert other.code == code, other.err
    if code:
        assert "drift.overlap: the champion's lists share " in other.refusal
        assert "expected at least 100%" in other.refusal
        assert "--set drift.overlap=null" in other.refusal


def rows(pairs):
    return "userId,movieId,rating\n" + "".join(f"{user},{item},{rating}\n" for user, item, rating in pairs)


ODD = {
    "nobody likes anything of the test": ([(u, i, 1 + (u + i) % 2 * (i < 3)) for u in range(8) for i in range(6)], 5),
    "one user": ([(1, item, 1 + item % 5) for item in range(12)], None),
    "one item": ([(user, 1, 1 + user % 5) for user in range(12)], None),
    "an item that everyone rated": ([(u, i, 5 - i % 5) for u in range(9) for i in (0, u + 1, u + 2, u + 3)], None),
    "equal ratings": ([(u, i, 3) for u in range(8) for i in range(6) if (u + i) % 3], None),
}


@pytest.mark.long
@pytest.mark.parametrize("given", ODD)
def test_odd_ratings_end_in_a_table(given, recobatch, at_project):
    pairs, relevant = ODD[given]
    file = at_project / "odd-lists.csv"
    file.write_text(rows(pairs))
    more = [f"--set=evaluation.relevant={relevant}"] if relevant else []
    table = f"odd-{given.replace(' ', '-')}"
    outcome = recobatch("run", file, *QUICK, OTHERS, *more, "--table", table, "--set=split.by=all")
    assert outcome.code == 0, outcome.err
    summary = outcome.json
    users, items = ({pair[place] for pair in pairs} for place in (0, 1))
    assert summary["table"]["rows"][MODEL] == len(users) * len(items)
    if relevant:
        assert "found no test rating of at least 5" in summary["rankings_note"]
        assert "rankings" not in summary["models"][MODEL]
    json.dumps(summary, allow_nan=False)


@pytest.mark.long
def test_single_ratings_end_in_a_table_or_in_one_line(recobatch, at_project):
    file = at_project / "single.csv"
    file.write_text(rows([(user, user % 4, 1 + user % 5) for user in range(20)]))
    alone = recobatch("run", file, *QUICK, "--table", "single")
    assert alone.code == 2
    assert "too few for the test part" in alone.refusal
    random = ("--set=split.by=all", "--set=split.method=random")
    outcome = recobatch("run", file, *QUICK, OTHERS, "--table", "single", *random)
    assert outcome.code == 0, outcome.err
