"""A training on its own promotes its champion only if it beats the registry's on the same test ratings."""

import csv

import pytest

from tests.support.flow_servers import tracking_address
from tests.support.summary_keys import undocumented

SMALL = ("--set", "model.n_factors=4", "--set", "interest.method=none", "--set", "top.k=0", "--json")
PROMOTED = ("--set", "gate.baseline=none", *SMALL)


@pytest.fixture
def registry(at_project):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_address(at_project))

    def registry():
        """Newest version, and alias → batch of its version."""
        aliases = client.get_registered_model("recobatch").aliases
        newest = max(int(each.version) for each in client.search_model_versions("name = 'recobatch'"))
        batches = {alias: client.get_model_version("recobatch", at).tags["batch_id"] for alias, at in aliases.items()}
        return newest, batches

    return registry


@pytest.fixture
def other_ratings(ratings_csv):
    """As many ratings of the same users and items, of other pairs."""
    path = ratings_csv.with_name("other.csv")
    rows = [(user, item) for user in range(60) for item in range(40) if (user * 7 + item * 3) % 5 == 0]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["userId", "movieId", "rating", "timestamp"])
        writer.writerows((f"u{user:02d}", item + 100, (user + item) % 5 + 1, 7) for user, item in rows)
    return path


@pytest.mark.long
def test_the_alias_moves_to_what_is_better_on_the_same_test_ratings(recobatch, ratings_csv, other_ratings, registry):
    sampled = ("--set", "models=explicit_mf,bayesian_mf", "--set", "model.sweeps=30", "--set", "train.epochs=1")
    sampled += ("--set", "model.bayesian_factors=4")
    first = recobatch("train", ratings_csv, *PROMOTED, *sampled)
    assert first.code == 0, first.err
    assert first.json["promotion"] == {"promoted": True, "reason": "promoted: the registry had no champion"}
    assert undocumented(first.json) == []
    newest, aliases = registry()
    assert aliases == dict.fromkeys(("champion", "challenger"), first.json["batch_id"])
    assert first.json["champion"] == "bayesian_mf"  # by far

    one_epoch = ("--set", "train.epochs=1", "--set", "models=explicit_mf")
    worse = recobatch("train", ratings_csv, *PROMOTED[:-1], *one_epoch)
    assert worse.code == 0, worse.err
    assert "In the registry, explicit_mf is not promoted: MSE 4." in worse.out
    assert registry() == (newest + 1, aliases)

    left_out = recobatch("train", ratings_csv, *PROMOTED, *one_epoch, "--no-register").json
    assert left_out["promotion"]["reason"].startswith("not registered (--no-register)")
    refused = recobatch("train", ratings_csv, *SMALL, *one_epoch)
    assert refused.code == 3
    assert refused.json["error"].endswith(f"; version {newest + 2} of the registry has it, without the alias champion")
    better_model = ("--set", "models=explicit_mf_bias", "--set", "train.epochs=1")
    other = recobatch("train", other_ratings, *PROMOTED, *better_model).json["promotion"]
    assert other["reason"].startswith(
        "not promoted: the champion, version 2, was trained on other ratings (ratings.csv)"
    )
    assert registry() == (newest + 3, aliases)

    better = recobatch("train", ratings_csv, *PROMOTED, *better_model).json
    promotion = better["promotion"]
    assert promotion["promoted"], promotion
    assert promotion["rows"] == better["data"]["test_rows"]
    # Measured as it was before it was given the test part.
    assert promotion["champion_mse"] == pytest.approx(first.json["models"]["bayesian_mf"]["test_mse"])
    assert promotion["mse"] == pytest.approx(better["models"]["explicit_mf_bias"]["test_mse"])
    assert undocumented(better) == []
    assert registry()[1] == {"champion": better["batch_id"]}  # and no challenger of another batch

    again = recobatch("train", ratings_csv, *PROMOTED, *better_model).json
    assert not again["promotion"]["promoted"]  # the same model once more
    assert again["promotion"]["champion_mse"] == pytest.approx(promotion["mse"])
