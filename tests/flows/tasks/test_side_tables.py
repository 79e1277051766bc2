"""Side tables of a batch: read where a model uses them, left out with a warning if found unfit, refused if named."""

from contextlib import nullcontext
from types import SimpleNamespace

import pyarrow as pa
import pytest

from flows.outputs import Ratings
from flows.settings.tree import Settings
from flows.tasks import side_tables
from recobatch.errors import BadInput
from recobatch.sources.datasets import Source
from recobatch.storage.workspace import Workspace
from recobatch.vocabulary import Vocabulary

USERS = "user_id,sex\n" + "".join(f"{n},{'MF'[n % 2]}\n" for n in range(12))
OF_OTHERS = USERS.replace("\n", "\nx", 12)


class Log:
    def __init__(self):
        self.warned, self.told = [], []

    def warning(self, message, *values):
        self.warned.append(message % values)

    def timed(self, name):
        return nullcontext(SimpleNamespace(download=None))

    def log(self, stage, message, *, reused=False):
        self.told.append((message, reused))


@pytest.fixture
def log(monkeypatch):
    log = Log()
    monkeypatch.setattr(side_tables, "get_run_logger", lambda: log)
    return log


@pytest.fixture
def read(tmp_path, log):
    """Run the task on twelve users and three items, whose ratings lie in ``tmp_path``."""
    users, items = tmp_path / "u.parquet", tmp_path / "i.parquet"
    Vocabulary.build(pa.array(range(12))).save(users)
    Vocabulary.build(pa.array(range(3))).save(items)
    path = str(tmp_path / "ratings.csv")
    source = Source("ratings.csv", path, path, titles=None)
    ratings = Ratings(source, None, SimpleNamespace(users_path=users, items_path=items), "key")

    def read(models=("bayesian_mf",), **data):
        settings = Settings.model_validate({"models": list(models), "data": data})
        work = Workspace.open(".recobatch/work", root=tmp_path)
        services = SimpleNamespace(settings=settings, work=work, stages=log)
        return side_tables.with_side_tables.fn(services, ratings)

    return read


def test_a_table_beside_the_ratings_is_read_once(read, tmp_path, log):
    (tmp_path / "users.csv").write_text(USERS)
    for reused in (False, True):
        side = read().side
        assert side.load("users").n_rows == 12
        assert side.load("items") is None
        assert log.told[-1] == ("users: sex", reused)
    assert log.warned == []


def test_none_is_looked_for_where_no_model_uses_it(read, tmp_path, log):
    (tmp_path / "users.csv").write_text(USERS)
    assert read(models=("explicit_mf",)).side.folder is None
    assert log.told == []


def test_without_a_table_the_ratings_are_as_they_were(read, log):
    assert read().side.folder is None
    assert log.told == []


def test_a_table_that_was_found_and_is_of_others_is_left_out(read, tmp_path, log):
    (tmp_path / "users.csv").write_text(OF_OTHERS)
    side = read().side
    assert side.load("users") is None
    assert "found no user of the ratings" in side.reports["users"]["left_out"]
    assert "the table of the users is not used" in log.warned[0]
    assert log.told == [("users: no column", False)]


def test_a_table_that_the_settings_name_must_be_fit(read, tmp_path, log):
    other = tmp_path / "other.csv"
    with pytest.raises(BadInput, match=r"data.users: found no file"):
        read(models=("explicit_mf",), users=other)
    other.write_text(OF_OTHERS)
    with pytest.raises(BadInput, match="found no user of the ratings"):
        read(models=("explicit_mf",), users=other)
    other.write_text(USERS)
    assert read(models=("explicit_mf",), users=other).side.load("users").n_rows == 12
