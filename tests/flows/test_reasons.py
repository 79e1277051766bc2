"""``recobatch similar`` and ``recobatch top --why``: look-ups by the model that made the published table."""

import csv

import pytest

SMALL = ("--set", "models=bayesian_mf", "--set", "model.sweeps=20", "--set", "interest.ease_rank=20")


@pytest.fixture
def rated(ratings_csv):
    with ratings_csv.open(newline="") as file:
        rows = [(row["userId"], int(row["movieId"]), float(row["rating"])) for row in csv.DictReader(file)]
    return {(user, item): rating for user, item, rating in rows}


def test_similar_items_and_reasons_come_from_the_published_model(recobatch, ratings_csv, rated):
    assert recobatch("run", ratings_csv, *SMALL, "--set", "gate.baseline=none").code == 0

    found = recobatch("similar", 105, "-k", 3, "--json").json
    assert found["item_id"] == 105
    assert len(found["items"]) == 3
    assert all(item["item_id"] != 105 and -1 <= item["similarity"] <= 1 for item in found["items"])
    lines = recobatch("similar", "105", "-k", 3).out.splitlines()
    assert [int(line.split()[2]) for line in lines] == [item["item_id"] for item in found["items"]]

    plain, why = (recobatch("top", "u03", "-k", 4, "--json", *more).json for more in ((), ("--why",)))
    assert [{**item, "because": None} for item in why["items"]] == [
        {**item, "because": None} for item in plain["items"]
    ]
    reasons = [reason for item in why["items"] for reason in item["because"]]
    assert reasons
    for reason in reasons:
        assert rated["u03", reason["item_id"]] == pytest.approx(reason["rating"])
        assert 0 < reason["interest"] <= 1
        assert reason["prediction"] is not None
    assert "because of" in recobatch("top", "u03", "-k", 4, "--why").out

    refused = recobatch("similar", 7)
    assert refused.code == 2
    assert "item: found '7', expected one of the 40 items with ratings" in refused.refusal

    ratings_csv.rename(ratings_csv.with_suffix(".away"))
    try:
        unread = recobatch("top", "u03", "-k", 4, "--why", "--json").json
    finally:
        ratings_csv.with_suffix(".away").rename(ratings_csv)
    assert {reason["rating"] for item in unread["items"] for reason in item["because"]} == {None}
