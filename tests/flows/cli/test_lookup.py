"""The snapshots that are kept, as a person who has to roll back sees them."""

import json

import pytest
from click.testing import CliRunner

from flows.cli.commands import cli, main
from recobatch.table import open_table
from tests.support.small_table import make_ids, make_model, publish, write_inputs

pytestmark = pytest.mark.slow


@pytest.fixture
def table(tmp_path):
    """Three versions of 60 users and 40 items, the newest of which is current."""
    table, inputs = open_table(tmp_path / "predictions"), write_inputs(tmp_path / "inputs", make_model(60, 40))
    for version in ("first", "second", "third"):
        publish(table, version, inputs, names=("one", "two"))
    return table


def shown(table, *more):
    done = CliRunner().invoke(cli, ["versions", "--table", str(table.root), *more])
    assert done.exit_code == 0, done.output
    return done.output


def test_every_kept_version_is_a_line_and_a_star_marks_the_current_one(table):
    table.rollback("second")
    lines = shown(table).splitlines()
    assert [line[:10].rstrip() for line in lines] == ["  first", "* second", "  third"]
    created = table.snapshot("third").manifest.created
    assert f"{created[:10]} {created[11:16]} UTC  4,800 predictions, " in lines[2]
    assert lines[0].endswith(" MB, champion two")
    assert lines[2].endswith(" MB, champion two, rolled back")


def test_as_json(table):
    told = json.loads(shown(table, "--json"))
    assert told["current"] == "third"
    newest = told["versions"][-1]
    size = sum(entry.bytes for entry in table.snapshot().manifest.files)
    assert newest == {
        "version": "third", "created": table.snapshot().manifest.created, "champion": "two", "test_mse": None,
        "rows": {"one": 2400, "two": 2400}, "bytes": size,
        "rolled_back": False,
    }  # fmt: skip


@pytest.mark.parametrize("spoil", [
    lambda root: (root / "current").rename(root / "versions" / "third" / "current"),
    lambda root: (root / "versions" / "third" / "manifest.json").write_text("{}"),
], ids=["pointer", "manifest"])  # fmt: skip
def test_a_table_whose_current_version_is_damaged_still_shows_the_others(table, spoil, monkeypatch, capsys):
    (table.root / "current.json").unlink()
    spoil(table.root)
    monkeypatch.setattr("sys.argv", ["recobatch", "versions", "--table", str(table.root)])
    with pytest.raises(SystemExit) as exit_:
        main()
    out, err = capsys.readouterr()
    assert exit_.value.code == 2
    assert {"first", "second"} <= {line.split()[0] for line in out.splitlines()}
    assert "*" not in out
    assert err.startswith("recobatch: ")
    assert len(err.splitlines()) == 1
    monkeypatch.setattr("sys.argv", ["recobatch", "versions", "--json", "--table", str(table.root)])
    with pytest.raises(SystemExit):
        main()
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["current"], told["exit_code"], f"recobatch: {told['error']}\n") == (None, 2, err)
    assert {"first", "second"} <= {each["version"] for each in told["versions"]}


def test_a_damaged_snapshot_is_one_object_with_its_problems(table, monkeypatch, capsys):
    next(table.snapshot().path.rglob("part-*.parquet")).write_bytes(b"PAR1")
    monkeypatch.setattr("sys.argv", ["recobatch", "verify", "--json", "--table", str(table.root)])
    with pytest.raises(SystemExit) as exit_:
        main()
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (exit_.value.code, told["exit_code"], told["kind"], told["ok"]) == (2, 2, "bad input", False)
    assert told["problems"]
    assert "damaged" in told["error"]


@pytest.mark.parametrize("link", [True, False], ids=["link", "pointer"])
@pytest.mark.parametrize(("text", "user"), [(False, 13), (True, "id-0000001")], ids=["integers", "texts"])
def test_a_user_has_their_own_type(tmp_path, text, user, link):
    table = open_table(tmp_path / "predictions")
    ids = {"users": make_ids(60, text=text), "items": make_ids(40, text=text)}
    publish(table, "v1", write_inputs(tmp_path / "inputs", make_model(60, 40), **ids))
    if not link:
        (table.root / "current").unlink()
    done = CliRunner().invoke(cli, ["top", str(user), "-k", "1", "--json", "--table", str(table.root)])
    assert json.loads(done.output)["user_id"] == user


def test_a_batch_has_the_error_of_its_champion(table):
    manifest = table.snapshot().manifest
    manifest.extra["summary"] = {"models": {"two": {"test_mse": 0.83899}}}
    (table.snapshot().path / "manifest.json").write_bytes(manifest.dump())
    assert shown(table).splitlines()[-1].endswith("champion two, test MSE 0.8390")
    assert json.loads(shown(table, "--json"))["versions"][-1]["test_mse"] == 0.83899
