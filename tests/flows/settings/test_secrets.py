"""Addresses with a password: from the environment or a block, and never into what is stored."""

import pytest

QUICK = ("--set", "train.epochs=1", "--set", "model.n_factors=4", "--set", "gate.baseline=none", "--json")

pytestmark = pytest.mark.usefixtures("one_model")


@pytest.fixture
def block(server):
    from prefect.blocks.system import Secret

    def save(value):
        Secret(value=value).save("ratings-address", overwrite=True)

    return save


@pytest.mark.long
def test_the_ratings_address_may_lie_in_a_block(block, recobatch, ratings_csv):
    block(str(ratings_csv))
    done = recobatch("run", *QUICK, "--set", "data.block=ratings-address", "--table", "of-block")
    assert done.code == 0, done.err
    assert done.json["data"]["source"] == "ratings.csv"


@pytest.mark.parametrize(
    ("value", "name", "words"),
    [
        ("x.csv", "absent", "found no Secret block 'absent' at the Prefect server, expected one"),
        ("", "ratings-address", "found no text in the block 'ratings-address'"),
    ],
)
def test_a_block_without_an_address_is_bad_input(block, recobatch, value, name, words):
    block(value)
    refused = recobatch("run", "--set", f"data.block={name}", "--table", "of-block")
    assert refused.code == 2
    assert words in refused.refusal
