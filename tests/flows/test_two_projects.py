"""Two projects with the default names on one MLflow server: neither publishes the other's ratings."""

import pytest

from recobatch.table import open_table
from tests.support.flow_runs import QUICK
from tests.support.flow_servers import tracking_address

HEADER = "userId,movieId,rating,timestamp"

pytestmark = pytest.mark.usefixtures("one_model")


@pytest.fixture
def project(recobatch, low_rank, tmp_path, monkeypatch, flow_servers):
    """Run a command in a project folder; the projects' ratings have the same ids, and few pairs in common."""

    def run(name, *arguments):
        folder = tmp_path / name
        if not folder.exists():
            folder.mkdir()
            shift = {"ours": 0, "theirs": 17}[name]
            columns = zip(low_rank.user_index, low_rank.item_index, low_rank.rating, strict=True)
            rows = [f"{u},{(item + shift * (u % 2 + 1)) % 40},{rating:.4f},{u}" for u, item, rating in columns]
            (folder / "ratings.csv").write_text("\n".join([HEADER, *rows]) + "\n")
        monkeypatch.chdir(folder)
        return recobatch(*arguments)

    with flow_servers.tracking(tmp_path):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_address(tmp_path))
        yield run


@pytest.mark.long
def test_a_champion_of_other_ratings_is_refused(project, tmp_path, caplog):
    ours = project("ours", "run", tmp_path / "ours" / "ratings.csv", *QUICK)
    assert ours.code == 0, ours.err
    assert project("theirs", "run", tmp_path / "theirs" / "ratings.csv", *QUICK).code == 0
    assert f"was trained for {tmp_path}/ours/predictions from {tmp_path}/ours/ratings.csv; now it is" in caplog.text
    outcome = project("ours", "score", "--json")
    assert outcome.code == 3, outcome.err
    assert f"{tmp_path}/ours/predictions: found the champion of 'recobatch', version " in outcome.refusal
    assert (
        f"of {tmp_path}/theirs/predictions, trained on ratings.csv ({tmp_path}/theirs/ratings.csv)" in outcome.refusal
    )
    assert "expected a model of this table's ratings" in outcome.refusal
    assert "set tracking.registered_model to another name" in outcome.refusal
    assert open_table(tmp_path / "ours" / "predictions").current().version == ours.json["table"]["version"]
    assert project("theirs", "score", "--force").code == 0, "theirs is theirs"
    again = project("ours", "score", tmp_path / "ours" / "ratings.csv")
    assert again.code == 3, "whatever ratings are named"
    own = ("--set", "tracking.registered_model=ours")
    assert project("ours", "run", tmp_path / "ours" / "ratings.csv", *QUICK, *own, "--force").code == 0
    assert project("ours", "score", *own, "--force").code == 0, "as the refusal says"


@pytest.mark.long
def test_before_the_first_publish_what_was_trained_for_the_table_counts(project, tmp_path):
    assert project("theirs", "train", tmp_path / "theirs" / "ratings.csv", *QUICK).code == 0
    trained = project("ours", "train", tmp_path / "ours" / "ratings.csv", *QUICK)
    assert not trained.json["promotion"]["promoted"]
    outcome = project("ours", "score")
    assert outcome.code == 3, outcome.err
    assert f"of {tmp_path}/theirs/predictions" in outcome.refusal
    assert not (tmp_path / "ours" / "predictions" / "versions").exists()
    assert project("theirs", "score").code == 0
    assert project("theirs", "score", "--table", "second").code == 0, "one champion may have several tables"
