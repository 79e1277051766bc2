"""The snapshots that are kept, as a person who has to roll back sees them."""

import json

import pytest
from click.testing import CliRunner

from flows.cli.commands import cli, main
from recobatch.table import open_table
from tests.support.small_table import make_model, publish, write_inputs


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
    size = sum(path.stat().st_size for path in table.snapshot().path.rglob("*.parquet"))
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


def test_a_batch_has_the_error_of_its_champion(table):
    manifest = table.snapshot().manifest
    manifest.extra["summary"] = {"models": {"two": {"test_mse": 0.83899}}}
    (table.snapshot().path / "manifest.json").write_bytes(manifest.dump())
    assert shown(table).splitlines()[-1].endswith("champion two, test MSE 0.8390")
    assert json.loads(shown(table, "--json"))["versions"][-1]["test_mse"] == 0.83899
