"""``score.pairs=top`` over a folder of ratings that grows: lists alone, the same as beside every pair."""

import pyarrow.parquet as pq
import pytest

QUICK = (
    "--set=train.epochs=2", "--set=model.n_factors=4", "--set=gate.baseline=none", "--set=models=explicit_mf_bias",
    "--set=interest.method=none", "--set=top.k=7", "--set=drift.error_rise=null", "--json",
    "--set=tracking.registered_model=lists-alone",
)  # fmt: skip


@pytest.fixture
def folder(project, ratings_csv):
    """The ratings, a line in three of them for later."""
    folder = project / "ratings"
    if not folder.exists():
        header, *lines = ratings_csv.read_text().splitlines(keepends=True)
        folder.mkdir()
        for number in range(3):
            (folder / f"part-{number}.csv").write_text(header + "".join(lines[number::3]))
        (folder / "part-2.csv").rename(project / "later.csv")
    return folder


def lists(table):
    (file,) = table.glob("current/top/*/*.parquet")
    return pq.read_table(file, partitioning=None).replace_schema_metadata(None)


@pytest.mark.long
def test_lists_alone_are_those_beside_every_pair_and_a_file_that_was_added_makes_new_ones(
    folder, recobatch, at_project
):
    every = recobatch("run", folder, *QUICK, "--table", "every").json
    alone = recobatch("run", folder, *QUICK, "--set=score.pairs=top", "--table", "alone").json
    table = at_project / "alone"
    assert lists(table).equals(lists(at_project / "every"))
    assert alone["table"]["rows"] == {"explicit_mf_bias": len(lists(table))}
    assert every["table"]["rows"]["explicit_mf_bias"] > len(lists(table))
    assert not (table / "current" / "table").exists()
    assert pq.read_table(table / "current" / "champion").num_rows == len(lists(table))
    assert recobatch("verify", "--table", "alone", "--json").json["ok"]
    views = (table / "current" / "views.sql").read_text()
    assert "/top/model=explicit_mf_bias/" in views
    assert "/table/" not in views

    shown = recobatch("top", "u03", "--table", "alone", "--json").json
    assert shown == recobatch("top", "u03", "-k", "7", "--table", "every", "--json").json
    assert "score.pairs=all" in recobatch("top", "u03", "--all", "--table", "alone").err
    assert "some of them: u00" in recobatch("top", "nobody", "--table", "alone").err

    assert recobatch("run", folder, *QUICK, "--set=score.pairs=top", "--table", "alone").json["unchanged"]
    (at_project / "later.csv").rename(folder / "part-2.csv")
    outcome = recobatch("run", folder, *QUICK, "--set=score.pairs=top", "--table", "alone")
    assert outcome.code == 0, outcome.err
    more = outcome.json
    assert more["data"]["ratings"] > alone["data"]["ratings"]
    assert more["table"]["version"] != alone["table"]["version"]
    assert more["change"]["overlap_at_10"] <= 1


def test_lists_alone_need_lists(recobatch, folder):
    refused = recobatch("run", folder, "--set=score.pairs=top", "--set=top.k=0")
    assert refused.code == 2
    assert "score.pairs=top needs lists; set top.k above 0" in refused.err
